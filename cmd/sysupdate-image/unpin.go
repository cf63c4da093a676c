package main

import (
	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/update"
)

const aboutUnpin = `Unpin a deployment, so that rm, prune and apply can remove it again.
` + namingDeployments

func (s *session) unpinCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "unpin DEPLOYMENT",
		Short:             "Unpin a deployment",
		Long:              aboutUnpin,
		Example:           `  sysupdate-image unpin before-migration`,
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
