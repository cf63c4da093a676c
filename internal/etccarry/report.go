package etccarry

import (
	"path"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/etcmerge"
)

// Describe enters into a report how a merge came about under a policy, which is
// "" if nothing has been decided yet.
func Describe(report *deployment.EtcReport, result *etcmerge.Result, policy etcmerge.Policy) {
	report.Changes = Changes(result.Changes)
	for _, c := range result.Conflicts {
		report.Conflicts = append(report.Conflicts, conflict(c, policy, result.Aside))
	}
	for _, d := range result.NewDefaults {
		report.Defaults = append(report.Defaults, etcPath(d.Path))
	}
	for _, m := range result.Records {
		report.Records = append(report.Records, deployment.EtcRecords{
			Path: etcPath(m.Path), Local: m.Local, New: m.New, Both: m.Both, Merged: m.Merged,
		})
	}
	for _, text := range result.Warnings {
		report.Warnings = append(report.Warnings, "/etc"+text) // each begins with a path
	}
}

// Changes returns changes as a report has them.
func Changes(all []etcmerge.Change) []deployment.EtcChange {
	var out []deployment.EtcChange
	for _, c := range all {
		change := deployment.EtcChange{Path: etcPath(c.Path), Kind: string(c.Kind)}
		if c.What != 0 {
			change.What = strings.Split(c.What.String(), ",")
		}
		out = append(out, change)
	}
	return out
}

func conflict(c etcmerge.Conflict, policy etcmerge.Policy, aside string) deployment.EtcConflict {
	out := deployment.EtcConflict{Path: etcPath(c.Path), Reason: string(c.Reason)}
	for _, p := range c.Paths {
		out.Local = append(out.Local, etcPath(p))
	}
	if policy == "" {
		return out
	}
	out.Wins = string(policy.OrKeep())
	if aside != "" && (out.Wins == deployment.ConflictsNew || c.New != nil) {
		out.Aside = path.Join("/etc", aside, c.Path)
	}
	return out
}

func etcPath(p string) string { return path.Join("/etc", p) }
