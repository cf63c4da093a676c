package ui

import (
	"fmt"

	"github.com/sysupdate-image/sysupdate-image/internal/machine"
	"github.com/sysupdate-image/sysupdate-image/internal/update"
)

// PrintUsrOverlay prints what lies over /usr.
func (s *Screen) PrintUsrOverlay(o update.UsrOverlay) error {
	text := "Mounted a writable overlay on /usr. The next boot discards all changes to it."
	switch {
	case o.Before && o.Layer == machine.NoUsrLayer:
		text = "Nothing to do: the image has a transient root, and /usr is writable until the next boot."
	case o.Before:
		text = fmt.Sprintf("Nothing to do: a %s overlay is already mounted on /usr.", o.Layer)
	case o.Layer == machine.UsrReadOnly:
		text = "Mounted a read-only overlay on /usr. A mount namespace can remount it writable; the next boot discards all changes to it."
	}
	_, err := fmt.Fprintln(s.Out, text)
	return err
}
