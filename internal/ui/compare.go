package ui

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/diff"
	"github.com/sysupdate-image/sysupdate-image/internal/inspect"
)

// PrintComparison prints what differs: packages, units, accounts, kernel arguments, sizes, and
// then files.
func (s *Screen) PrintComparison(c inspect.Comparison) error {
	w := bufio.NewWriter(s.Out)
	for _, m := range c.Packages {
		summary, lines := packageChanges(m)
		fmt.Fprintf(w, "Packages %s\n%s\n\n", summary, strings.Join(lines, "\n"))
	}
	printNamed(w, "Units", c.Units)
	printNamed(w, "Users and groups", c.Accounts)
	if lines := argumentLines(c.KernelArguments); len(lines) > 0 {
		fmt.Fprintf(w, "Kernel arguments:\n%s\n\n", strings.Join(lines, "\n"))
	}
	printSizes(w, c.Sizes)
	kinds := make(map[string]int)
	for _, f := range c.Files {
		kinds[f.Kind]++
	}
	fmt.Fprintf(w,
		"Files: %d added, %d removed, %d changed\n", kinds[diff.Added], kinds[diff.Removed], kinds[diff.Changed])
	for _, f := range c.Files {
		fmt.Fprintln(w, f)
	}
	if len(c.Unknown) > 0 {
		fmt.Fprintf(w,
			"The contents of %s could not be compared: their digests have different algorithms\n", Count(len(c.Unknown), "file"))
	}
	for _, note := range c.Notes {
		s.Warn(note)
	}
	return w.Flush()
}

// namedLine returns a change as a line.
func namedLine(c inspect.NamedChange) string {
	switch {
	case c.Old == "":
		return fmt.Sprintf("+ %s: %s", Name(c.Name), Name(c.New))
	case c.New == "":
		return fmt.Sprintf("- %s: %s", Name(c.Name), Name(c.Old))
	}
	return fmt.Sprintf("~ %s: %s -> %s", Name(c.Name), Name(c.Old), Name(c.New))
}

func printNamed(w io.Writer, title string, changes []inspect.NamedChange) {
	if len(changes) == 0 {
		return
	}
	fmt.Fprintf(w, "%s:\n", title)
	for _, c := range changes {
		fmt.Fprintln(w, namedLine(c))
	}
	fmt.Fprintln(w)
}

func argumentLines(a inspect.KernelArguments) (lines []string) {
	for _, arg := range a.Removed {
		lines = append(lines, "- "+Name(arg))
	}
	for _, arg := range a.Added {
		lines = append(lines, "+ "+Name(arg))
	}
	return lines
}

// mostSizes is how many sizes are printed; --json has all.
const mostSizes = 10

// printSizes prints how the sizes of the packages have changed, or of the directories if there
// are no packages: those that changed most.
func printSizes(w io.Writer, s inspect.Sizes) {
	if s.Old == s.New && len(grown(s.Packages)) == 0 {
		return
	}
	fmt.Fprintf(w, "Size: %s -> %s (%s)\n", Size(s.Old), Size(s.New), growth(s.Old, s.New))
	parts := grown(s.Packages)
	if len(s.Packages) == 0 {
		parts = grown(s.Directories)
	}
	for i, p := range parts {
		if i == mostSizes {
			fmt.Fprintf(w, "  and %d more\n", len(parts)-i)
			break
		}
		fmt.Fprintf(w, "  %12s  %s\n", growth(p.Old, p.New), Name(p.Name))
	}
	fmt.Fprintln(w)
}

// grown returns the parts whose sizes differ, those that differ most first.
func grown(parts []inspect.SizedChange) []inspect.SizedChange {
	parts = slices.DeleteFunc(slices.Clone(parts), func(p inspect.SizedChange) bool { return p.Old == p.New })
	slices.SortStableFunc(parts, func(a, b inspect.SizedChange) int {
		return cmp.Compare(max(b.New-b.Old, b.Old-b.New), max(a.New-a.Old, a.Old-a.New))
	})
	return parts
}

// growth returns "+1.5 MiB".
func growth(old, now int64) string {
	if now < old {
		return "-" + Size(old-now)
	}
	return "+" + Size(now-old)
}
