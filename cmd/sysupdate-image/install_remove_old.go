package main

import (
	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/install"
	"github.com/sysupdate-image/sysupdate-image/internal/update"
)

func (s *session) removeOldCommand() *cobra.Command {
	var keep []string
	var yes, asJSON, quiet bool
	cmd := &cobra.Command{
		Use:   "remove-old",
		Short: "Remove the old system beside an image",
		Args:  needArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.change(func(m *update.Machine) error {
				p, err := install.PlanRemoveOld(m, keep)
				if err != nil {
					return err
				}
				if asJSON {
					err = s.PrintJSON(p)
				} else {
					err = s.PrintRemoveOldPlan(p, yes)
				}
				if err != nil || !yes {
					return err
				}
				return p.Remove(cmd.Context(), m, s.Reporter(cmd.Context(), quiet))
			})
		},
	}
	cmd.Flags().StringArrayVar(&keep, "keep", nil, "keep `NAME` in the root of the old system (can be repeated)")
	cmd.Flags().BoolVar(&yes, "yes", false, "remove what is listed")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the list as JSON")
	cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "print only the list")
	return cmd
}
