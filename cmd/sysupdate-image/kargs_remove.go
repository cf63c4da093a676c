package main

import (
	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/update"
)

func (s *session) kargsRemoveCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:               "remove ARG...",
		Short:             "Remove kernel arguments",
		Args:              needArgs(cobra.MinimumNArgs(1)),
		ValidArgsFunction: s.completeKargs,
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.changeKargs(cmd, nil, args, asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// completeKargs completes the kernel arguments that there are.
func (s *session) completeKargs(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	var names []cobra.Completion
	if k, err := s.kargs(""); err == nil {
		for _, a := range k.List {
			if a.Source != update.KargDeployment {
				names = append(names, cobra.CompletionWithDesc(a.Arg, string(a.Source)))
			}
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
