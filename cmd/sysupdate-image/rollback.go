package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/update"
)

const aboutRollback = `Make the previous deployment the next to boot, with its own /etc as it was, and with /var
as it is now. If that deployment is already next, the booted one becomes next again: a
second rollback undoes the first. With DEPLOYMENT, make that one the next to boot, older
or newer. A staged update is dropped.

The change is one rename on the boot partition and takes effect at the next reboot.
` + namingDeployments

// namingDeployments is the help on the argument DEPLOYMENT.
const namingDeployments = `
DEPLOYMENT is the beginning of an id, the name of a pin, or booted, staged, next or
rollback; see sysupdate-image status.`

func (s *session) rollbackCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "rollback [DEPLOYMENT]",
		Short: "Make the previous deployment the next to boot",
		Long:  aboutRollback,
		Example: `  sysupdate-image rollback
  sysupdate-image rollback 3f9c01
  sysupdate-image rollback before-migration
  sysupdate-image rollback booted           # keep the running system; drop a staged update`,
		Args:              needArgs(cobra.MaximumNArgs(1)),
		ValidArgsFunction: s.completeDeployments(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.switchBoot(func(m *update.Machine) error {
				r, err := m.Rollback(cmd.Context(), first(args))
				if err != nil {
					return err
				}
				return s.PrintRollback(r)
			})
		},
	}
}

// change opens the machine to change it and has f do so.
func (s *session) change(f func(*update.Machine) error) error {
	m, err := s.open()
	if err != nil {
		return err
	}
	return errors.Join(f(m), m.Close())
}

// switchBoot is change for what needs nothing in the repository: it does not wait for
// an image that is being fetched.
func (s *session) switchBoot(f func(*update.Machine) error) error {
	s.changing.Store(true)
	m, err := update.OpenToSwitch(s.machine(), s.WarnOf)
	if err != nil {
		return err
	}
	return errors.Join(f(m), m.Close())
}
