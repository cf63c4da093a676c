package main

import (
	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/status"
)

// completeDeployments completes the names of deployments, as many as a command
// takes, or any number if most is negative. A shell shows with each what it is.
func (s *session) completeDeployments(most int) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if most >= 0 && len(args) >= most {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		st, err := status.Of(s.sysroot)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var names []cobra.Completion
		for _, d := range st.Deployments {
			about := d.Describe()
			if d.PinName != "" {
				names = append(names, cobra.CompletionWithDesc(d.PinName, about))
			}
			for _, role := range []struct {
				word string
				has  bool
			}{
				{deployment.WordBooted, d.Booted}, {deployment.WordStaged, d.Staged},
				{deployment.WordNext, d.Next}, {deployment.WordRollback, d.Rollback},
			} {
				if role.has {
					names = append(names, cobra.CompletionWithDesc(role.word, about))
				}
			}
			names = append(names, cobra.CompletionWithDesc(d.ID.Short(), about))
		}
		return names, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
	}
}
