package ui

import (
	"fmt"

	"github.com/sysupdate-image/sysupdate-image/internal/update"
)

// PrintProtection prints what became of fs-verity on a machine.
func (s *Screen) PrintProtection(p update.Protection) error {
	files := "All files have fs-verity already"
	if p.Enabled {
		files = "Enabled fs-verity for all files"
	}
	demand := fmt.Sprintf("deployment %s demands it already", p.ID.Short())
	switch {
	case p.Staged != "":
		demand = fmt.Sprintf("deployment %s and the staged %s demand it from their next boot on", p.ID.Short(), p.Staged.Short())
	case p.Demands:
		demand = fmt.Sprintf("deployment %s demands it from its next boot on", p.ID.Short())
	case p.Sealed:
		demand = fmt.Sprintf("deployment %s is sealed: its signed command line says whether it demands that", p.ID.Short())
	}
	_, err := fmt.Fprintf(s.Out, "%s; %s\n", files, demand)
	return err
}
