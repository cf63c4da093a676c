package status

import (
	"fmt"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/machine/records"
)

// noteEtc adds a note if the merge of local changes to /etc needs review: the one of the
// running deployment, or of the next one where none is running.
func (g *gatherer) noteEtc() {
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
