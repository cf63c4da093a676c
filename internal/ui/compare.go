package ui

import (
	"bufio"
	"fmt"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/diff"
	"github.com/sysupdate-image/sysupdate-image/internal/inspect"
)

// PrintComparison prints the packages that differ, then the files.
func (s *Screen) PrintComparison(c inspect.Comparison) error {
	w := bufio.NewWriter(s.Out)
	for _, m := range c.Packages {
		summary, lines := packageChanges(m)
		fmt.Fprintf(w, "Packages %s\n%s\n\n", summary, strings.Join(lines, "\n"))
	}
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
