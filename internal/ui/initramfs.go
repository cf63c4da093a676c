package ui

import (
	"fmt"

	"github.com/sysupdate-image/sysupdate-image/internal/image/initramfs/assemble"
)

// PrintInitramfs prints what initramfs was written.
func (s *Screen) PrintInitramfs(r assemble.Report) error {
	_, err := fmt.Fprintf(s.Out, "Wrote %s for Linux %s: %s, %s (%s)\n",
		Name(r.Name), Name(r.Version), Count(r.Modules, "module"), Size(r.Size), r.Compression)
	return err
}
