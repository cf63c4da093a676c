package ui

import (
	"bufio"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/sysupdate-image/sysupdate-image/internal/etc/carry"
	"github.com/sysupdate-image/sysupdate-image/internal/etc/edit"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/printable"
)

// EtcChanges are local changes as JSON.
type EtcChanges struct {
	Deployment string        `json:"deployment"`
	Etc        string        `json:"etc"`
	Changes    []edit.Change `json:"changes"`
}

// NewEtcChanges returns the changes of one side as JSON. It leaves out a diff that JSON
// cannot hold.
func NewEtcChanges(of carry.Side, changes []edit.Change) EtcChanges {
	for i := range changes {
		if !utf8.ValidString(changes[i].Diff) {
			changes[i].Diff = ""
		}
	}
	return EtcChanges{Deployment: string(of.ID), Etc: string(of.Etc), Changes: changes}
}

// PrintEtcChanges prints local changes, with how texts differ unless only names are
// wanted.
func (s *Screen) PrintEtcChanges(changes []edit.Change, names bool) error {
	w := bufio.NewWriter(s.Out)
	for _, c := range changes {
		fmt.Fprintln(w, c)
		if !names {
			fmt.Fprint(w, c.Diff)
		}
	}
	return w.Flush()
}

// EtcReset is a reset as JSON.
type EtcReset struct {
	Deployment string      `json:"deployment"`
	DryRun     bool        `json:"dryRun"`
	Steps      []edit.Step `json:"steps"`
}

// PrintReset prints the steps of a reset, which were done unless dryRun is set.
func (s *Screen) PrintReset(steps []edit.Step, dryRun bool) error {
	for _, step := range steps {
		fmt.Fprintln(s.Out, step)
	}
	switch {
	case len(steps) == 0:
		fmt.Fprintln(s.Out, "Nothing to do: no local changes there.")
	case dryRun:
		fmt.Fprintln(s.Out, "Nothing was changed.")
	}
	return nil
}

// PrintEtcReport prints how local changes were merged when a deployment took over.
func (s *Screen) PrintEtcReport(r deployment.EtcReport) error {
	w := bufio.NewWriter(s.Out)
	fmt.Fprintf(w, "/etc of deployment %s (%s)", r.To.ID.Short(), r.To.Etc)
	if r.From.ID != "" {
		fmt.Fprintf(w, ", merged from deployment %s (%s)", r.From.ID.Short(), r.From.Etc)
	}
	if r.Time != "" {
		fmt.Fprintf(w, " at %s", r.Time)
	}
	fmt.Fprintln(w)
	printMerge(w, r, "carried over")
	return w.Flush()
}

// PrintEtcMerge prints how directories were merged, or would be unless done is set.
func (s *Screen) PrintEtcMerge(r deployment.EtcReport, done bool) error {
	w := bufio.NewWriter(s.Out)
	what := "carried over"
	if !done {
		what = "would be carried over"
	}
	printMerge(w, r, what)
	return w.Flush()
}

// printMerge writes the outcome of a merge, with what needs review last. done tells
// what happened to local changes.
func printMerge(w *bufio.Writer, r deployment.EtcReport, done string) {
	fmt.Fprintf(w, "%s %s\n", Count(len(r.Changes), "local change"), done)
	for _, c := range r.Changes {
		what := ""
		if len(c.What) > 0 {
			what = " (" + strings.Join(c.What, ", ") + ")"
		}
		fmt.Fprintf(w, "  %-8s  %s%s\n", c.Kind, Name(c.Path), what)
	}
	for _, m := range r.Records {
		fmt.Fprintf(w, "Merged record by record: %s\n", Name(m.Path))
		for _, list := range []struct {
			what  string
			names []string
		}{
			{"from here", append(append([]string{}, m.Local...), m.Both...)},
			{"from the image", m.New},
			{"members of both", m.Merged},
		} {
			if len(list.names) > 0 {
				fmt.Fprintf(w, "  %s: %q\n", list.what, list.names)
			}
		}
	}
	for _, path := range r.Defaults {
		fmt.Fprintf(w, "New default not used because of a local change: %s\n", Name(path))
	}
	for _, c := range r.Conflicts {
		fmt.Fprintf(w, "Conflict: %s\n", c)
	}
	for _, text := range r.Warnings {
		fmt.Fprintf(w, "Warning: %s\n", printable.Text(text))
	}
}
