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
	requirement := fmt.Sprintf("deployment %s requires it already", p.ID.Short())
	switch {
	case p.Staged != "":
		requirement = fmt.Sprintf("deployment %s and the staged %s require it from their next boot on", p.ID.Short(), p.Staged.Short())
	case p.Requires:
		requirement = fmt.Sprintf("deployment %s requires it from its next boot on", p.ID.Short())
	case p.Sealed:
		requirement = fmt.Sprintf("deployment %s is sealed: its signed command line decides whether it requires that", p.ID.Short())
	}
	_, err := fmt.Fprintf(s.Out, "%s; %s\n", files, requirement)
	return err
}
