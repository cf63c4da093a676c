package main

import (
	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/update"
)

func (s *session) removeESPCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "remove-esp PARTITION|PARTUUID",
		Short: "No longer keep an EFI system partition equal",
		Args:  needArgs(cobra.ExactArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error {
			return s.switchBoot(func(m *update.Machine) error {
				c, err := m.RemoveESP(args[0])
				if err != nil {
					return err
				}
				return s.PrintRemovedESP(c)
			})
		},
	}
}
