package main

import (
	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/update"
)

const aboutRm = `Remove deployments, with everything on disk that no other one needs. A deployment that is
booted, staged, next or pinned is not removed; the error tells what to do first. The
deployment to roll back to can be removed, unless a queued rollback has it boot next.
` + namingDeployments

func (s *session) rmCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "rm DEPLOYMENT...",
		Aliases: []string{"delete-deployment"},
		Short:   "Remove deployments",
		Long:    aboutRm,
		Example: `  sysupdate-image rm 3f9c01
  sysupdate-image rm rollback`,
		Args:              needArgs(cobra.MinimumNArgs(1)),
		ValidArgsFunction: s.completeDeployments(-1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.change(func(m *update.Machine) error {
				report, err := m.Remove(cmd.Context(), args)
				if err != nil {
					return err
				}
				return s.PrintPruned(report, false)
			})
		},
	}
}
