package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// shells are those for which there is a script.
var shells = []string{"bash", "zsh", "fish"}

func (s *session) completionCommand() *cobra.Command {
	return &cobra.Command{
		Use:                   "completion bash|zsh|fish",
		Short:                 "Print a completion script for a shell",
		Args:                  needArgs(cobra.ExactArgs(1)),
		ValidArgs:             shells,
		DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			root := cmd.Root()
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(s.Out, true)
			case "zsh":
				return root.GenZshCompletion(s.Out)
			case "fish":
				return root.GenFishCompletion(s.Out, true)
			}
			return usageError{fmt.Errorf("completion: unknown shell %q: want one of %s", args[0], strings.Join(shells, ", "))}
		},
	}
}
