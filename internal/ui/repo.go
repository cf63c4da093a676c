package ui

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/repo"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/printable"
	"github.com/sysupdate-image/sysupdate-image/internal/inspect"
	"github.com/sysupdate-image/sysupdate-image/internal/repair"
)

// PrintImages prints a table of the images in a repository.
func (s *Screen) PrintImages(images []inspect.Stored) error {
	w := tabwriter.NewWriter(s.Out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tFORMAT\tSIZE\tKEPT BY")
	for _, i := range images {
		if i.Error != "" {
			fmt.Fprintf(w, "%s\t\t\t%s\n", deployment.ID(i.ID).Short(), Name(i.Error))
			continue
		}
		var kept []string
		if i.Deployed {
			kept = append(kept, "deployment")
		}
		for _, name := range append(i.Names, i.Containers...) {
			kept = append(kept, Name(name))
		}
		if kept == nil {
			kept = []string{"nothing"}
		}
		short, by := deployment.ID(i.ID).Short(), strings.Join(kept, ", ")
		fmt.Fprintf(w, "%s\tV%d\t%s\t%s\n", short, i.FormatVersion, Size(i.Size), by)
	}
	return w.Flush()
}

// PrintFsck prints each problem, what became of it or would, and how much was checked.
func (s *Screen) PrintFsck(r repair.Report, repair bool) error {
	for _, f := range r.Findings {
		line := f.Problem.String()
		switch {
		case f.Repaired:
			line += " (repaired)"
		case f.Why != "":
			line += " (not repaired: " + f.Why + ")"
		case f.Remedy != "":
			line += " (--repair " + f.Remedy + ")"
		}
		fmt.Fprintln(s.Out, printable.Text(line))
	}
	verdict := "Checked "
	if len(r.Findings) == 0 {
		verdict = "No problems: "
	}
	_, err := fmt.Fprintf(s.Out, "%s%s, %s; %s, %s, %s\n", verdict, Count(r.Objects, "object"), Size(r.Bytes),
		Count(r.Images, "image"), Count(r.Streams, "stream"), Count(r.Refs, "ref"))
	if repair && err == nil && len(r.Findings) > 0 {
		_, err = fmt.Fprintf(s.Out, "Repaired %d of %s\n", len(r.Findings)-r.Left(), Count(len(r.Findings), "problem"))
	}
	return err
}

// GCJSON is a repo.Report as JSON.
type GCJSON struct {
	DryRun      bool     `json:"dryRun"`
	Images      []string `json:"images"`
	Streams     []string `json:"streams"`
	Refs        []string `json:"refs"`
	Objects     int      `json:"objects"`
	Bytes       int64    `json:"bytes"` // of the objects
	KeptObjects int      `json:"keptObjects"`
}

// NewGCJSON returns a report as JSON; its lists are never null.
func NewGCJSON(r repo.Report, dryRun bool) GCJSON {
	return GCJSON{
		dryRun, append([]string{}, r.Images...), append([]string{}, r.Streams...), append([]string{}, r.Refs...),
		r.Objects, r.Bytes, r.KeptObjects,
	}
}

// errFsck is the error of a repository with problems that can be repaired.
var errFsck = errors.New("the repository has")

// FsckVerdict returns an error if a repository has problems, after those that can be repaired
// were, or before.
func FsckVerdict(r repair.Report, repaired bool) error {
	left := r.Left()
	switch {
	case left == 0:
		return nil
	case !repaired && slices.ContainsFunc(r.Findings, func(f repair.Finding) bool { return f.Remedy != "" }):
		return fmt.Errorf("%w %s", errFsck, Count(left, "problem"))
	}
	return errors.New("the repository has " + Count(left, "problem"))
}

// PrintGC prints what was removed from a repository, or would be.
func (s *Screen) PrintGC(r repo.Report, dryRun bool) error {
	remove := "Removed"
	if dryRun {
		remove = "Would remove"
	}
	for _, id := range r.Images {
		fmt.Fprintf(s.Out, "%s image %s\n", remove, deployment.ID(id).Short())
	}
	for _, name := range r.Streams {
		fmt.Fprintf(s.Out, "%s %s\n", remove, Name(name))
	}
	for _, name := range r.Refs {
		fmt.Fprintf(s.Out, "%s %s, a dangling link\n", remove, Name(name))
	}
	_, err := fmt.Fprintf(s.Out, "%s %s, %s; %d kept\n", remove, Count(r.Objects, "object"), Size(r.Bytes), r.KeptObjects)
	return err
}
