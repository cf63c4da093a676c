package main

import (
	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/update"
)

func (s *session) unpinCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "unpin DEPLOYMENT",
		Short:             "Unpin a deployment",
		Args:              needArgs(cobra.ExactArgs(1)),
		ValidArgsFunction: s.completePinned(),
		RunE: func(_ *cobra.Command, args []string) error {
			return s.switchBoot(func(m *update.Machine) error {
				id, err := m.Unpin(args[0])
				if err != nil {
					return err
				}
				return s.PrintUnpinned(id)
			})
		},
	}
}
