package main

import (
	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/etc/edit"
)

func (s *session) etcReportCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:               "report [DEPLOYMENT]",
		Short:             "Show how the last update merged local changes to /etc",
		Args:              needArgs(cobra.MaximumNArgs(1)),
		ValidArgsFunction: s.completeDeployments(1),
		RunE: func(_ *cobra.Command, args []string) error {
			report, err := edit.Report(s.machine(), first(args))
			if err != nil {
				return err
			}
			if asJSON {
				return s.PrintJSON(report)
			}
			return s.PrintEtcReport(report)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
