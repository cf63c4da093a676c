package deployment

import (
	"fmt"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/printable"
)

// EtcReportFile returns where it is told how the deployment came to its /etc.
func (id ID) EtcReportFile() string { return id.Dir() + "/etc-report.json" }

// An EtcReport tells what became of local changes to /etc when they were
// carried from one deployment to another. Paths are absolute, with /etc. That of a
// merge of directories has no sides, no time, and paths relative to them.
type EtcReport struct {
	From      EtcSide        `json:"from,omitzero"`
	To        EtcSide        `json:"to,omitzero"`
	Time      string         `json:"time,omitempty"` // RFC 3339
	Policy    ConflictPolicy `json:"policy"`
	Changes   []EtcChange    `json:"changes,omitempty"` // local ones that were carried over
	Conflicts []EtcConflict  `json:"conflicts,omitempty"`
	// Defaults are files that the image changed but that stay as they are here,
	// since they have been changed here too.
	Defaults []string     `json:"defaults,omitempty"`
	Records  []EtcRecords `json:"records,omitempty"`
	Warnings []string     `json:"warnings,omitempty"` // sentences for people
}

// An EtcSide is a deployment and how it keeps its /etc.
type EtcSide struct {
	ID  ID      `json:"deployment,omitempty"`
	Etc EtcMode `json:"etc,omitempty"`
}

// An EtcChange is a file that is not as its image has it.
type EtcChange struct {
	Path string   `json:"path"`
	Kind string   `json:"kind"`           // added, removed, changed or metadata
	What []string `json:"what,omitempty"` // of changed and metadata: content, mode, …
}

// An EtcConflict is a place where a local change and the new image exclude each
// other.
type EtcConflict struct {
	Path   string         `json:"path"`
	Reason string         `json:"reason"`
	Local  []string       `json:"local,omitempty"` // files that have no place beside what the image has
	Wins   ConflictPolicy `json:"wins,omitempty"`  // ConflictsKeep or ConflictsNew, once it is decided
	Aside  string         `json:"aside,omitempty"` // where the side is that has lost
}

// EtcRecords tells of a file that was merged record by record, by the names of
// the records.
type EtcRecords struct {
	Path   string   `json:"path"`
	Local  []string `json:"local,omitempty"`  // changed here only: as they are here
	New    []string `json:"new,omitempty"`    // changed by the image only: as it has them
	Both   []string `json:"both,omitempty"`   // changed by both: as they are here
	Merged []string `json:"merged,omitempty"` // changed by both: with the members that either has
}

// String returns the conflict as one line.
func (c EtcConflict) String() string {
	text := printable.Name(c.Path) + ": " + c.Reason
	if len(c.Local) > 1 || len(c.Local) == 1 && c.Local[0] != c.Path {
		var local []string
		for _, path := range c.Local {
			local = append(local, printable.Name(path))
		}
		text += ": " + strings.Join(local, ", ")
	}
	aside := printable.Name(c.Aside)
	switch {
	case c.Wins == ConflictsKeep && c.Aside != "":
		text += "; keeping the local version; the image's version is in " + aside
	case c.Wins == ConflictsKeep:
		text += "; keeping the local version"
	case c.Wins == ConflictsNew && c.Aside != "":
		text += "; using the image's version; the local version is in " + aside
	case c.Wins == ConflictsNew:
		text += "; using the image's version"
	}
	return text
}

// ParseEtcReport reads an EtcReportFile. Unknown fields are skipped.
func ParseEtcReport(data []byte) (EtcReport, error) {
	r, err := parseRecord(data)
	if err != nil {
		return EtcReport{}, err
	}
	report := EtcReport{
		From: r.etcSide("from"), To: r.etcSide("to"),
		Time: jsonMember[string](r, "time"), Policy: ConflictPolicy(jsonMember[string](r, "policy")),
		Defaults: r.texts("defaults"), Warnings: r.texts("warnings"),
	}
	r.each("changes", func(m *jsonRecord) {
		report.Changes = append(report.Changes, EtcChange{
			Path: jsonMember[string](m, "path"), Kind: m.changeKind(), What: m.texts("what"),
		})
	})
	r.each("conflicts", func(m *jsonRecord) {
		report.Conflicts = append(report.Conflicts, EtcConflict{
			Path: jsonMember[string](m, "path"), Reason: jsonMember[string](m, "reason"), Local: m.texts("local"),
			Wins: ConflictPolicy(jsonMember[string](m, "wins")), Aside: jsonMember[string](m, "aside"),
		})
	})
	r.each("records", func(m *jsonRecord) {
		report.Records = append(report.Records, EtcRecords{
			Path: jsonMember[string](m, "path"), Local: m.texts("local"), New: m.texts("new"),
			Both: m.texts("both"), Merged: m.texts("merged"),
		})
	})
	if r.err != nil {
		return EtcReport{}, r.err
	}
	return report, nil
}

// changeKind returns the kind of a change, which has had another word for
// changed.
func (r *jsonRecord) changeKind() string {
	kind := jsonMember[string](r, "kind")
	if kind == "modified" {
		return "changed"
	}
	return kind
}

func (r *jsonRecord) etcSide(name string) EtcSide {
	members := jsonMember[map[string]any](r, name)
	m := &jsonRecord{members: members, err: r.err}
	side := EtcSide{ID: ID(jsonMember[string](m, "deployment")), Etc: EtcMode(jsonMember[string](m, "etc"))}
	r.err = m.err
	return side
}

// each calls visit for the objects in a list.
func (r *jsonRecord) each(name string, visit func(*jsonRecord)) {
	for _, v := range jsonMember[[]any](r, name) {
		members, ok := v.(map[string]any)
		if !ok && r.err == nil {
			r.err = fmt.Errorf("%s has an item of the wrong type", name)
		}
		m := &jsonRecord{members: members, err: r.err}
		visit(m)
		r.err = m.err
	}
}

// texts returns the strings in a list.
func (r *jsonRecord) texts(name string) []string {
	var out []string
	for _, v := range jsonMember[[]any](r, name) {
		text, ok := v.(string)
		if !ok && r.err == nil {
			r.err = fmt.Errorf("%s has an item of the wrong type", name)
		}
		out = append(out, text)
	}
	return out
}

// Encode returns the report as JSON, a line for each item.
func (r EtcReport) Encode() []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "{\n  \"from\": %s,\n  \"to\": %s,\n  \"time\": %s,\n  \"policy\": %s",
		r.From.encode(), r.To.encode(), quoteJSON(r.Time), quoteJSON(string(r.Policy)))
	writeList(&b, "changes", r.Changes, func(c EtcChange) string {
		return encodeObject(text("path", c.Path), text("kind", c.Kind), list("what", c.What))
	})
	writeList(&b, "conflicts", r.Conflicts, func(c EtcConflict) string {
		return encodeObject(text("path", c.Path), text("reason", c.Reason), list("local", c.Local),
			optional("wins", string(c.Wins)), optional("aside", c.Aside))
	})
	writeList(&b, "defaults", r.Defaults, quoteJSON)
	writeList(&b, "records", r.Records, func(m EtcRecords) string {
		return encodeObject(text("path", m.Path), list("local", m.Local), list("new", m.New),
			list("both", m.Both), list("merged", m.Merged))
	})
	writeList(&b, "warnings", r.Warnings, quoteJSON)
	b.WriteString("\n}\n")
	return []byte(b.String())
}

func (s EtcSide) encode() string {
	return encodeObject(optional("deployment", string(s.ID)), optional("etc", string(s.Etc)))
}

// encodeObject returns an object with the members that are not "".
func encodeObject(members ...string) string {
	var some []string
	for _, m := range members {
		if m != "" {
			some = append(some, m)
		}
	}
	return "{" + strings.Join(some, ", ") + "}"
}

func text(name, value string) string { return quoteJSON(name) + ": " + quoteJSON(value) }

func optional(name, value string) string {
	if value == "" {
		return ""
	}
	return text(name, value)
}

func list(name string, values []string) string {
	if len(values) == 0 {
		return ""
	}
	var quoted []string
	for _, v := range values {
		quoted = append(quoted, quoteJSON(v))
	}
	return quoteJSON(name) + ": [" + strings.Join(quoted, ", ") + "]"
}
