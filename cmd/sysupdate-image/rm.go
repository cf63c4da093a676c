package main

import (
	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/update"
)

func (s *session) rmCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "rm DEPLOYMENT...",
		Aliases:           []string{"delete-deployment"},
		Short:             "Remove deployments",
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
