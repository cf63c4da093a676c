package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/records"
)

const aboutEtcReport = `Say what became of local changes to /etc when the running deployment, or DEPLOYMENT,
took over from the one before: what was carried over, where a new default
is hidden by a local change, which records were merged, and what was in conflict.

With --json, the report as it is kept: {"from": {"deployment", "etc"}, "to": {…}, "time",
"policy": "keep|new", "changes": [{"path", "kind": "added|removed|changed|metadata",
"what": [ASPECT]}], "conflicts": [{"path", "reason", "local": [PATH], "wins": "keep|new",
"aside"}], "defaults": [PATH], "records": [{"path", "local", "new", "both", "merged"}],
"warnings": [TEXT]}; lists that are empty are left out. The kind is metadata where no
more than owner, mode or attributes were changed.
` + namingDeployments

func (s *session) etcReportCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "report [DEPLOYMENT]",
		Short: "Say what the last update made of local changes to /etc",
		Long:  aboutEtcReport,
		Example: `  sysupdate-image etc report
  sysupdate-image etc report --json rollback`,
		Args:              needArgs(cobra.MaximumNArgs(1)),
		ValidArgsFunction: s.completeDeployments(1),
		RunE: func(_ *cobra.Command, args []string) error {
			report, err := s.etcReport(first(args))
			if err != nil {
				return err
			}
			if asJSON {
				return s.PrintJSON(report)
			}
			return s.PrintEtcReport(report)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return cmd
}

// etcReport reads the report of a deployment.
func (s *session) etcReport(name string) (deployment.EtcReport, error) {
	dir := s.sysroot
	if dir == "" {
		dir = deployment.SysrootDir
	}
	id, err := s.deploymentNamed(name)
	if err != nil {
		return deployment.EtcReport{}, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return deployment.EtcReport{}, err
	}
	defer root.Close()
	report, err := records.LoadEtcReport(root.FS(), id)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("there is no report for deployment %s: its /etc was not made from that of another one", id.Short())
	}
	return report, err
}
