package ui

import (
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/version"
	"github.com/sysupdate-image/sysupdate-image/internal/image/lint"
)

// The parts of SARIF 2.1.0 that a report of rules takes; see
// https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html.
type (
	sarif struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool struct {
			Driver sarifDriver `json:"driver"`
		} `json:"tool"`
		Bases   map[string]sarifBase `json:"originalUriBaseIds"`
		Results []sarifResult        `json:"results"`

		Invocations []sarifInvocation `json:"invocations"`
	}
	// A sarifInvocation says whether all rules could be checked.
	sarifInvocation struct {
		Successful    bool                `json:"executionSuccessful"`
		Notifications []sarifNotification `json:"toolExecutionNotifications"`
	}
	sarifNotification struct {
		Level   string    `json:"level"`
		Message sarifText `json:"message"`
		Rule    struct {
			ID    string `json:"id"`
			Index int    `json:"index"`
		} `json:"associatedRule"`
	}
	sarifBase struct {
		Description sarifText `json:"description"`
	}
	sarifDriver struct {
		Name    string      `json:"name"`
		Version string      `json:"version"`
		Rules   []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID       string    `json:"id"`
		Short    sarifText `json:"shortDescription"`
		Full     sarifText `json:"fullDescription"`
		Help     sarifText `json:"help"`
		Defaults struct {
			Level string `json:"level"`
		} `json:"defaultConfiguration"`
	}
	sarifText struct {
		Text string `json:"text"`
	}
	sarifResult struct {
		RuleID    string          `json:"ruleId"`
		Index     int             `json:"ruleIndex"`
		Level     string          `json:"level"`
		Message   sarifText       `json:"message"`
		Locations []sarifLocation `json:"locations"`
	}
	sarifLocation struct {
		Physical sarifPhysical `json:"physicalLocation"`
	}
	sarifPhysical struct {
		Artifact struct {
			URI  string `json:"uri"`
			Base string `json:"uriBaseId"`
		} `json:"artifactLocation"`
		Region *sarifRegion `json:"region,omitempty"`
	}
	sarifRegion struct {
		StartLine int `json:"startLine"`
	}
)

// sarifLevels are the levels in the terms of SARIF.
var sarifLevels = map[lint.Level]string{lint.Fatal: "error", lint.Warning: "warning"}

// sarifRoot is the base of the paths: the root of the image, wherever that is.
const sarifRoot = "IMAGE"

// PrintLintSARIF prints a report as a SARIF log, for services that show findings.
func (s *Screen) PrintLintSARIF(r lint.Report, rules []lint.Rule) error {
	run := sarifRun{
		Bases:   map[string]sarifBase{sarifRoot: {sarifText{"The root of the image."}}},
		Results: []sarifResult{},
	}
	run.Tool.Driver = sarifDriver{Name: "sysupdate-image lint", Version: version.Version, Rules: []sarifRule{}}
	index := make(map[string]int)
	for i, c := range rules {
		index[c.Name] = i
		run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, newSarifRule(c))
	}
	for _, f := range r.Findings {
		run.Results = append(run.Results, newSarifResult(f, index[f.Rule]))
	}
	run.Invocations = []sarifInvocation{newSarifInvocation(r.Failed, index)}
	return s.PrintJSON(sarif{"https://json.schemastore.org/sarif-2.1.0.json", "2.1.0", []sarifRun{run}})
}

func newSarifRule(c lint.Rule) sarifRule {
	rule := sarifRule{ID: c.Name, Short: sarifText{"Wants: " + c.Description}, Full: sarifText{c.Why}, Help: sarifText{c.Mend}}
	if c.Mend == "" {
		rule.Help.Text = "Each finding says how to mend it."
	}
	rule.Defaults.Level = sarifLevels[c.Level]
	return rule
}

// newSarifInvocation tells which rules could not be checked: a log without results of them
// would look as if they were kept.
func newSarifInvocation(failed []lint.Failure, index map[string]int) sarifInvocation {
	i := sarifInvocation{Successful: len(failed) == 0, Notifications: []sarifNotification{}}
	for _, f := range failed {
		n := sarifNotification{Level: "error", Message: sarifText{"Cannot check " + f.Rule + ": " + f.Why}}
		n.Rule.ID, n.Rule.Index = f.Rule, index[f.Rule]
		i.Notifications = append(i.Notifications, n)
	}
	return i
}

func newSarifResult(f lint.Finding, rule int) sarifResult {
	var l sarifLocation
	l.Physical.Artifact.URI, l.Physical.Artifact.Base = escapeURI(strings.TrimPrefix(f.Path, "/")), sarifRoot
	if f.Line > 0 {
		l.Physical.Region = &sarifRegion{f.Line}
	}
	text := f.Path + ": " + f.What + ". " + f.Why + " " + f.Mend
	return sarifResult{f.Rule, rule, sarifLevels[f.Level], sarifText{text}, []sarifLocation{l}}
}

// escapeURI returns a path as a reference in a URI. url.PathEscape would escape slashes.
func escapeURI(path string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for _, c := range []byte(path) {
		if c == '/' || c == '.' || c == '-' || c == '_' || c == '~' || '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(hex[c>>4])
		b.WriteByte(hex[c&15])
	}
	return b.String()
}
