package main

import (
	"errors"
	"io/fs"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/machine"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/records"
	"github.com/sysupdate-image/sysupdate-image/internal/ui"
)

func (s *session) historyCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "history",
		Short: "Show what was installed, updated, rolled back and failed, and when",
		Args:  needArgs(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			h, err := s.history()
			if err != nil {
				return err
			}
			if asJSON {
				return s.PrintJSON(ui.History{Events: h})
			}
			return s.PrintHistory(h)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// history returns the machine's history, an empty one if nothing is recorded.
func (s *session) history() (_ deployment.History, err error) {
	system, err := machine.Open(s.machine(), machine.ToRead)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, system.Close()) }()
	if system.SysrootErr != nil {
		return nil, system.SysrootErr
	}
	h, err := records.LoadHistory(system.Sysroot)
	if errors.Is(err, fs.ErrNotExist) {
		return deployment.History{}, nil
	}
	return h, err
}
