package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/update"
)

func (s *session) kargsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "kargs",
		Short: "Show and change the kernel arguments of this machine",
		Args:  needArgs(cobra.NoArgs),
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(s.kargsListCommand(), s.kargsAddCommand(), s.kargsRemoveCommand(), s.kargsEditCommand())
	return cmd
}

func (s *session) kargsListCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:               "list [DEPLOYMENT]",
		Short:             "List kernel arguments, and where they come from",
		Args:              needArgs(cobra.MaximumNArgs(1)),
		ValidArgsFunction: s.completeDeployments(1),
		RunE: func(_ *cobra.Command, args []string) error {
			k, err := s.kargs(first(args))
			if err != nil {
				return err
			}
			if asJSON {
				return s.PrintJSON(k)
			}
			for _, text := range k.Hidden {
				s.Say("Note: " + text)
			}
			return s.PrintKargs(k)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// kargs returns the kernel arguments of a deployment.
func (s *session) kargs(name string) (update.Kargs, error) {
	return update.ReadKargs(s.machine(), name, s.WarnOf)
}

func (s *session) kargsAddCommand() *cobra.Command {
	var asJSON bool
	var addon string
	cmd := &cobra.Command{
		Use:   "add ARG...",
		Short: "Add kernel arguments",
		Args:  needArgs(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("addon") {
				if s.sysroot != "" || addon == "" {
					return usageError{errors.New("kargs add: --addon needs the name of a file and cannot be combined with --sysroot")}
				}
				return s.writeAddon(addon, args)
			}
			return s.changeKargs(cmd, args, nil, asJSON)
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().StringVar(&addon, "addon", "", "change nothing, and write an addon for a sealed image to `FILE`")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	completeFiles(cmd, "addon")
	return cmd
}

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

func (s *session) changeKargs(cmd *cobra.Command, add, remove []string, asJSON bool) error {
	return s.switchBoot(func(m *update.Machine) error {
		change, err := m.ChangeKargs(cmd.Context(), add, remove)
		if err != nil {
			return err
		}
		if asJSON {
			return s.PrintJSON(change)
		}
		return s.PrintKargsChange(change)
	})
}
