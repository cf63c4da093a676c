package main

import (
	"strings"

	"github.com/spf13/cobra"
)

// helpCommand is cobra's, but an unknown command is wrong usage.
func (s *session) helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:                   "help [COMMAND...]",
		GroupID:               mainGroup,
		Short:                 "Describe a command, as --help does",
		ValidArgsFunction:     completeCommands,
		DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			about, rest, err := cmd.Root().Find(args)
			if err != nil {
				return usageError{err}
			}
			if len(rest) > 0 {
				return usageError{unknownCommand(about, rest[0])}
			}
			about.InitDefaultHelpFlag()
			about.InitDefaultVersionFlag()
			return about.Help()
		},
	}
}

// completeCommands completes the names of commands below those that are named.
func completeCommands(
	cmd *cobra.Command, args []string, toComplete string,
) ([]cobra.Completion, cobra.ShellCompDirective) {
	about, rest, err := cmd.Root().Find(args)
	if err != nil || len(rest) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []cobra.Completion
	for _, c := range about.Commands() {
		if c.IsAvailableCommand() && strings.HasPrefix(c.Name(), toComplete) {
			names = append(names, cobra.CompletionWithDesc(c.Name(), c.Short))
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
