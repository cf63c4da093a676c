package main

import (
	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/update"
)

func (s *session) repoProtectCommand() *cobra.Command {
	var ifAsked bool
	cmd := &cobra.Command{
		Use:   "protect",
		Short: "Enable fs-verity, and require it from the next boot on",
		Args:  needArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.change(func(m *update.Machine) error {
				protect := func() (update.Protection, bool, error) {
					p, err := m.Protect(cmd.Context())
					return p, true, err
				}
				if ifAsked {
					protect = func() (update.Protection, bool, error) { return m.ProtectIfAsked(cmd.Context()) }
				}
				p, asked, err := protect()
				if !asked || err != nil {
					return err
				}
				return s.PrintProtection(p)
			})
		},
	}
	cmd.Flags().BoolVar(&ifAsked, "if-asked", false, "only if the installer asked for it, as on the first boot")
	return cmd
}
