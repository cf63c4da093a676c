package main

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/format/printable"
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
				return s.printJSON(report)
			}
			return s.printEtcReport(report)
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
	data, err := bounded.ReadRoot(root, id.EtcReportFile(), limits.Report)
	if errors.Is(err, fs.ErrNotExist) {
		return deployment.EtcReport{}, fmt.Errorf("there is no report for deployment %s: its /etc was not made from that of another one", id.Short())
	}
	if err != nil {
		return deployment.EtcReport{}, err
	}
	return deployment.ParseEtcReport(data)
}

func (s *session) printEtcReport(r deployment.EtcReport) error {
	w := bufio.NewWriter(s.out)
	fmt.Fprintf(w, "/etc of deployment %s (%s)", r.To.ID.Short(), r.To.Etc)
	if r.From.ID != "" {
		fmt.Fprintf(w, ", made from that of %s (%s)", r.From.ID.Short(), r.From.Etc)
	}
	if r.Time != "" {
		fmt.Fprintf(w, " at %s", r.Time)
	}
	fmt.Fprintln(w)
	printMerge(w, r, "carried over")
	return w.Flush()
}

// printMerge writes what came of a merge, what needs a look last. done is what
// happened to local changes.
func printMerge(w *bufio.Writer, r deployment.EtcReport, done string) {
	fmt.Fprintf(w, "%s %s\n", count(len(r.Changes), "local change"), done)
	for _, c := range r.Changes {
		what := ""
		if len(c.What) > 0 {
			what = " (" + strings.Join(c.What, ", ") + ")"
		}
		fmt.Fprintf(w, "  %-8s  %s%s\n", c.Kind, shown(c.Path), what)
	}
	for _, m := range r.Records {
		fmt.Fprintf(w, "Merged record by record: %s\n", shown(m.Path))
		for _, list := range []struct {
			what  string
			names []string
		}{
			{"as here", append(append([]string{}, m.Local...), m.Both...)},
			{"as in the image", m.New},
			{"with the members of both", m.Merged},
		} {
			if len(list.names) > 0 {
				fmt.Fprintf(w, "  %s: %q\n", list.what, list.names)
			}
		}
	}
	for _, path := range r.Defaults {
		fmt.Fprintf(w, "New default not used, since it was changed here: %s\n", shown(path))
	}
	for _, c := range r.Conflicts {
		fmt.Fprintf(w, "Conflict: %s\n", c)
	}
	for _, text := range r.Warnings {
		fmt.Fprintf(w, "Warning: %s\n", printable.Text(text))
	}
}
