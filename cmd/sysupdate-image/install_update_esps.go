package main

import (
	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/machine/esps"
	"github.com/sysupdate-image/sysupdate-image/internal/ui"
	"github.com/sysupdate-image/sysupdate-image/internal/update"
)

func (s *session) updateESPsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "update-esps",
		Short: "Make further EFI system partitions equal to the first",
		Args:  needArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.switchBoot(func(m *update.Machine) error {
				copies, err := m.UpdateESPs(cmd.Context(), esps.Contents)
				if err != nil {
					return err
				}
				if err := s.PrintESPs(copies); err != nil {
					return err
				}
				return ui.ESPVerdict(copies)
			})
		},
	}
}
