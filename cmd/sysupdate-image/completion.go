package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

const aboutCompletion = `Print the script with which a shell completes commands, options, deployments and files.
Install it as the first of these files for all users, or as the second for one user. A
package of sysupdate-image may have done so already.

  bash  /usr/share/bash-completion/completions/sysupdate-image
        ~/.local/share/bash-completion/completions/sysupdate-image
  zsh   /usr/share/zsh/site-functions/_sysupdate-image
        _sysupdate-image in a directory that $fpath names
  fish  /usr/share/fish/vendor_completions.d/sysupdate-image.fish
        ~/.config/fish/completions/sysupdate-image.fish

Shells read it when they start. bash needs the package bash-completion.`

// shells are those for which there is a script.
var shells = []string{"bash", "zsh", "fish"}

func (s *session) completionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "completion bash|zsh|fish",
		Short: "Print a completion script for a shell",
		Long:  aboutCompletion,
		Example: `  sysupdate-image completion bash > ~/.local/share/bash-completion/completions/sysupdate-image
  sysupdate-image completion fish > ~/.config/fish/completions/sysupdate-image.fish`,
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
