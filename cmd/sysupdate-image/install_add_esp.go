package main

import (
	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/update"
)

func (s *session) addESPCommand() *cobra.Command {
	var plan bool
	cmd := &cobra.Command{
		Use:   "add-esp PARTITION",
		Short: "Have another disk's EFI system partition boot the machine, too",
		Args:  needArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if plan {
				return s.look(func(m *update.Machine) error {
					p, err := m.PlanAddESP(cmd.Context(), args[0])
					if err != nil {
						return err
					}
					return s.PrintESPPlan(p)
				})
			}
			return s.switchBoot(func(m *update.Machine) error {
				p, err := m.AddESP(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				return s.PrintAddedESP(p)
			})
		},
	}
	cmd.Flags().BoolVar(&plan, "plan", false, "show what would be written, and change nothing")
	return cmd
}
