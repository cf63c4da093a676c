package status

import (
	"fmt"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/records"
)

// A LastMerge is what became of local changes to /etc when a deployment took over.
type LastMerge struct {
	Of        deployment.ID `json:"deployment"`
	From      deployment.ID `json:"from,omitempty"`
	Time      string        `json:"time,omitempty"` // RFC 3339
	Changes   int           `json:"changes"`        // local changes that were carried over
	Conflicts int           `json:"conflicts"`
	Defaults  int           `json:"defaultsNotUsed"` // new defaults that a local change hides
	Warnings  int           `json:"warnings"`
}

// readEtc fills in what the last merge of local changes to /etc did: the one of the running
// deployment, or of the next one where none is running. A note says if it needs review.
func (g *gatherer) readEtc() {
	id := g.m.Booted
	if !g.m.Running {
		id = g.m.Next()
	}
	if g.sys.Sysroot == nil || id == "" {
		return
	}
	report, err := records.LoadEtcReport(g.sys.Sysroot, id)
	if err != nil {
		g.problem("report on /etc of deployment "+id.Short(), err)
		return
	}
	if err == nil && report.From.ID != "" {
		g.status.LastMerge = &LastMerge{
			id, report.From.ID, report.Time, len(report.Changes), len(report.Conflicts), len(report.Defaults), len(report.Warnings),
		}
	}
	var parts []string
	for _, part := range []struct {
		n         int
		one, more string
	}{
		{len(report.Conflicts), "conflict", "conflicts"},
		{len(report.Defaults), "new default not used", "new defaults not used"},
		{len(report.Warnings), "warning", "warnings"},
	} {
		switch {
		case part.n == 1:
			parts = append(parts, "1 "+part.one)
		case part.n > 1:
			parts = append(parts, fmt.Sprintf("%d %s", part.n, part.more))
		}
	}
	if len(parts) > 0 {
		g.status.Notes = append(g.status.Notes,
			fmt.Sprintf("the /etc merge needs review (%s): sysupdate-image etc report", strings.Join(parts, ", ")))
	}
}
