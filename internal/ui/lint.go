package ui

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/sysupdate-image/sysupdate-image/internal/format/printable"
	"github.com/sysupdate-image/sysupdate-image/internal/image/lint"
)

// shownFindings is how many findings of one rule are printed, unless all are asked for.
const shownFindings = 5

// PrintLint prints what the rules for an image found, or with all, all of it.
func (s *Screen) PrintLint(r lint.Report, all bool) error {
	w := bufio.NewWriter(s.Out)
	for _, group := range groupFindings(r.Findings) {
		printFindings(w, group, r.Omitted[group[0].Rule], all)
	}
	for _, note := range r.Notes {
		fmt.Fprintln(w, "Note:", printable.Text(note))
	}
	for _, f := range r.Failed {
		fmt.Fprintf(w, "Cannot check %s: %s\n", f.Rule, printable.Text(f.Why))
	}
	fatal, warnings := r.Count(lint.Fatal), r.Count(lint.Warning)
	fmt.Fprintf(w, "%s kept", Count(len(r.Kept), "rule"))
	if n := len(r.Skipped); n > 0 {
		fmt.Fprintf(w, ", %d skipped", n)
	}
	if fatal+warnings > 0 {
		fmt.Fprintf(w, "; %d fatal, %s", fatal, Count(warnings, "warning"))
	}
	fmt.Fprintln(w)
	return w.Flush()
}

// LintVerdict returns an error if an image is not good enough, or if that is not known.
func LintVerdict(r lint.Report, fatalWarnings bool) error {
	failed := r.Count(lint.Fatal)
	if fatalWarnings {
		failed += r.Count(lint.Warning)
	}
	switch {
	case failed > 0:
		return errors.New(Count(failed, "rule") + " broken")
	case len(r.Failed) > 0:
		return fmt.Errorf("cannot check %s", Count(len(r.Failed), "rule"))
	}
	return nil
}

// groupFindings returns the findings of each rule together.
func groupFindings(findings []lint.Finding) (groups [][]lint.Finding) {
	for i, f := range findings {
		if i == 0 || f.Rule != findings[i-1].Rule {
			groups = append(groups, nil)
		}
		last := len(groups) - 1
		groups[last] = append(groups[last], f)
	}
	return groups
}

// printFindings prints the findings of one rule. A reason or remedy that is that of the
// finding before is printed once.
func printFindings(w io.Writer, findings []lint.Finding, omitted int, all bool) {
	fmt.Fprintf(w, "%s: %s\n", findings[0].Level, findings[0].Rule)
	shown := findings
	if !all && len(shown) > shownFindings {
		shown = shown[:shownFindings]
	}
	for i, f := range shown {
		fmt.Fprintf(w, "  %s: %s\n", Name(where(f)), printable.Text(f.What))
		last := i == len(shown)-1
		if last || shown[i+1].Why != f.Why {
			fmt.Fprintf(w, "    Why:  %s\n", printable.Text(f.Why))
		}
		if last || shown[i+1].Mend != f.Mend {
			fmt.Fprintf(w, "    Mend: %s\n", printable.Text(f.Mend))
		}
	}
	if rest := len(findings) - len(shown); rest > 0 || omitted > 0 {
		fmt.Fprintf(w, "  … and %d more\n", rest+omitted)
	}
	fmt.Fprintln(w)
}

// where returns the path of a finding, with its line if it is about one.
func where(f lint.Finding) string {
	if f.Line > 0 {
		return fmt.Sprintf("%s:%d", f.Path, f.Line)
	}
	return f.Path
}

// PrintRules prints the rules that there are.
func (s *Screen) PrintRules(rules []lint.Rule) error {
	w := tabwriter.NewWriter(s.Out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "RULE	LEVEL\tOF\tWANTS")
	for _, c := range rules {
		of := "us"
		if c.Bootc {
			of = "bootc"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", c.Name, c.Level, of, strings.TrimSpace(c.Description))
	}
	return w.Flush()
}
