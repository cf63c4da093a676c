package main

import (
	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/update"
)

func (s *session) kargsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "kargs",
		Short: "Show and change the kernel arguments of this machine",
		Args:  needArgs(cobra.NoArgs),
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(s.kargsListCommand(), s.kargsAddCommand(), s.kargsRemoveCommand(), s.kargsEditCommand())
	return cmd
}

// kargs returns the kernel arguments of a deployment.
func (s *session) kargs(name string) (update.Kargs, error) {
	return update.ReadKargs(s.machine(), name, s.WarnOf)
}

func (s *session) changeKargs(cmd *cobra.Command, add, remove []string, asJSON bool) error {
	return s.switchBoot(func(m *update.Machine) error {
		change, err := m.ChangeKargs(cmd.Context(), add, remove)
		if err != nil {
			return err
		}
		if asJSON {
			return s.PrintJSON(change)
		}
		return s.PrintKargsChange(change)
	})
}
