package main

import (
	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/etc/edit"
)

const aboutEtcReport = `Show how local changes to /etc were merged when the running deployment, or DEPLOYMENT,
took over from the one before it: which were carried over, which new defaults were not
used because of a local change, which records were merged, and which changes conflicted.

With --json, the report as it is stored: {"from": {"deployment", "etc"}, "to": {…}, "time",
"policy": "keep|new", "changes": [{"path", "kind": "added|removed|changed|metadata",
"what": [ASPECT]}], "conflicts": [{"path", "reason", "local": [PATH], "wins": "keep|new",
"aside"}], "defaults": [PATH], "records": [{"path", "local", "new", "both", "merged"}],
"warnings": [TEXT]}; empty lists are omitted. The kind is metadata if only owner, mode or
attributes were changed.
` + namingDeployments

func (s *session) etcReportCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "report [DEPLOYMENT]",
		Short: "Show how the last update merged local changes to /etc",
		Long:  aboutEtcReport,
		Example: `  sysupdate-image etc report
  sysupdate-image etc report --json rollback`,
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
