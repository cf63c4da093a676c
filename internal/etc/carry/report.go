package carry

import (
	"path"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/etc/merge"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
)

// Places are the directories below which a report has its paths.
type Places struct {
	Files string // "" for paths relative to the trees
	Aside string // of the sides that have lost a conflict
}

// inEtc is where files are on a machine.
const inEtc = "/etc"

// Describe enters into a report how a merge came about under a policy, which is
// "" if nothing has been decided yet.
func (p Places) Describe(report *deployment.EtcReport, result *merge.Result, policy deployment.ConflictPolicy) {
	report.Changes = p.changes(result.Changes)
	for _, c := range result.Conflicts {
		report.Conflicts = append(report.Conflicts, p.conflict(c, policy, result.Aside))
	}
	for _, d := range result.NewDefaults {
		report.Defaults = append(report.Defaults, p.file(d.Path))
	}
	for _, m := range result.Records {
		report.Records = append(report.Records, deployment.EtcRecords{
			Path: p.file(m.Path), Local: m.Local, New: m.New, Both: m.Both, Merged: m.Merged,
		})
	}
	for _, text := range result.Warnings {
		// Each begins with a path.
		report.Warnings = append(report.Warnings, p.prefix()+strings.TrimPrefix(text, "/"))
	}
}

// changes returns changes as a report has them.
func (p Places) changes(all []merge.Change) []deployment.EtcChange {
	var out []deployment.EtcChange
	for _, c := range all {
		change := deployment.EtcChange{Path: p.file(c.Path), Kind: string(c.Kind)}
		if c.What != 0 {
			change.What = strings.Split(c.What.String(), ",")
		}
		out = append(out, change)
	}
	return out
}

func (p Places) conflict(c merge.Conflict, policy deployment.ConflictPolicy, aside string) deployment.EtcConflict {
	out := deployment.EtcConflict{Path: p.file(c.Path), Reason: string(c.Reason)}
	for _, local := range c.Paths {
		out.Local = append(out.Local, p.file(local))
	}
	if policy == "" {
		return out
	}
	out.Wins = policy.OrKeep()
	if aside != "" && (out.Wins == deployment.ConflictsNew || c.New != nil) {
		out.Aside = path.Join(p.Aside, aside, c.Path)
	}
	return out
}

// file returns the path of a file of the trees, which have it from their root.
func (p Places) file(name string) string { return path.Join(p.Files, "."+name) }

func (p Places) prefix() string {
	if p.Files == "" {
		return ""
	}
	return p.Files + "/"
}
