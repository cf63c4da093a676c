package ui

import (
	"fmt"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/printable"
	"github.com/sysupdate-image/sysupdate-image/internal/machine"
	"github.com/sysupdate-image/sysupdate-image/internal/update"
)

// PrintRollback prints what boots next.
func (s *Screen) PrintRollback(r update.RollbackResult) error {
	if r.DroppedStaged != "" {
		s.printf("Dropped the staged update, deployment %s\n", r.DroppedStaged.Short())
	}
	title := printable.Title(r.Title)
	if title == "" {
		title = r.ID.Short()
	}
	format := "%s boots next, deployment %s\n"
	switch r.Reset {
	case machine.ResetUndone:
		format = "%s boots next with the state before the reset, deployment %s\n"
	case machine.ResetFresh:
		format = "%s boots next with the fresh state, deployment %s\n"
	}
	if r.Already {
		format = "Nothing to do: %s already boots next, deployment %s\n"
	}
	return s.printf(format, title, s.id(r.ID))
}

// PrintPinned prints that a deployment is pinned, by name unless that is "".
func (s *Screen) PrintPinned(id deployment.ID, name string) error {
	_, err := fmt.Fprintf(s.Out, "Pinned deployment %s\n", called(id, name))
	return err
}

// PrintUnpinned prints that a deployment is no longer pinned.
func (s *Screen) PrintUnpinned(id deployment.ID) error {
	_, err := fmt.Fprintf(s.Out, "Unpinned deployment %s\n", id)
	return err
}

// called returns the name of a deployment's pin, with its id.
func called(id deployment.ID, name string) string {
	if name == "" {
		return string(id)
	}
	return name + " (" + string(id) + ")"
}

// PruneJSON is a PruneReport as JSON.
type PruneJSON struct {
	Deployments []deployment.ID `json:"deployments"`
	Kept        []deployment.ID `json:"kept"`
	BootFiles   []string        `json:"bootFiles"` // below the root of the boot partition
	Files       []string        `json:"files"`     // below the physical root
	Repository  GCJSON          `json:"repository"`
}

// NewPruneJSON returns a report as JSON; its lists are never null.
func NewPruneJSON(r update.PruneReport, dryRun bool) PruneJSON {
	return PruneJSON{
		append([]deployment.ID{}, r.Deployments...), append([]deployment.ID{}, r.Kept...),
		append([]string{}, r.BootFiles...), append([]string{}, r.Leftovers...), NewGCJSON(r.Repository, dryRun),
	}
}

// PrintPruned prints what was removed: the deployments, and for a dry run every file.
func (s *Screen) PrintPruned(r update.PruneReport, dryRun bool) error {
	files := len(r.BootFiles) + len(r.Leftovers)
	if len(r.Deployments)+files+len(r.Repository.Images)+len(r.Repository.Streams)+r.Repository.Objects == 0 {
		_, err := fmt.Fprintln(s.Out, "Nothing to remove")
		return err
	}
	r.Repository.Refs = nil // they belong to the deployments
	if !dryRun {
		for _, id := range r.Deployments {
			fmt.Fprintf(s.Out, "Removed deployment %s\n", id)
		}
		_, err := fmt.Fprintf(s.Out, "Removed %s, and %s (%s) from the repository\n",
			Count(files, "file"), Count(r.Repository.Objects, "object"), Size(r.Repository.Bytes))
		return err
	}
	for _, id := range r.Deployments {
		fmt.Fprintf(s.Out, "Would remove deployment %s\n", id)
	}
	for _, path := range r.BootFiles {
		fmt.Fprintf(s.Out, "Would remove %s from the boot partition\n", Name(path))
	}
	for _, path := range r.Leftovers {
		fmt.Fprintf(s.Out, "Would remove %s\n", Name(path))
	}
	return s.PrintGC(r.Repository, dryRun)
}
