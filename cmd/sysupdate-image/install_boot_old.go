package main

import (
	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/install"
	"github.com/sysupdate-image/sysupdate-image/internal/update"
)

func (s *session) bootOldCommand() *cobra.Command {
	var undo bool
	cmd := &cobra.Command{
		Use:   "boot-old",
		Short: "Boot the old system beside an image by default",
		Args:  needArgs(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			err := s.switchBoot(func(m *update.Machine) error { return install.BootOld(m, !undo) })
			if err != nil {
				return err
			}
			return s.PrintBootOld(!undo)
		},
	}
	cmd.Flags().BoolVar(&undo, "undo", false, "boot the image by default")
	return cmd
}
