package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/update"
)

const aboutRollback = `Make the previous deployment the one that boots next, with its own /etc as it was and
/var as it is. If that one is next already, the booted one becomes next again: a
second rollback undoes the first. A staged update is dropped.

The change is one rename in the boot partition and takes effect at the next reboot.`

func (s *session) rollbackCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "rollback",
		Short: "Boot the previous deployment next",
		Long:  aboutRollback,
		Args:  needArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			m, err := update.Open(s.sysroot, s.warn)
			if err != nil {
				return err
			}
			defer m.Close()
			r, err := m.Rollback(cmd.Context())
			if err != nil {
				return err
			}
			if r.DroppedStaged != "" {
				fmt.Fprintf(s.out, "Dropped the staged update, deployment %s\n", r.DroppedStaged)
			}
			fmt.Fprintf(s.out, "%s boots next, deployment %s\n", r.Title, r.ID)
			return nil
		},
	}
}
