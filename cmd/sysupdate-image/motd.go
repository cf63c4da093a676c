package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/machine"
	"github.com/sysupdate-image/sysupdate-image/internal/update"
)

// motdCommand is for a unit, at boot: nobody needs to know it.
func (s *session) motdCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "motd",
		Short:  "Write what users are told at login about an update that did not boot",
		Hidden: true,
		Args:   needArgs(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) (err error) {
			system, err := machine.Open(s.machine(), machine.ToRead)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, system.Close()) }()
			return update.TellAtLogin(system)
		},
	}
}
