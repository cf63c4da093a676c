package ui

import (
	"bufio"
	"fmt"

	"github.com/sysupdate-image/sysupdate-image/internal/update"
)

// PrintKargs prints kernel arguments, with where each comes from.
func (s *Screen) PrintKargs(k update.Kargs) error {
	w := bufio.NewWriter(s.Out)
	for _, a := range k.List {
		fmt.Fprintf(w, "%-26s  %s\n", kargSource(a), Name(a.Arg))
	}
	for _, a := range k.Missing {
		fmt.Fprintf(w, "%-26s  %s  (removed here)\n", kargSource(a), Name(a.Arg))
	}
	return w.Flush()
}

func kargSource(a update.Karg) string {
	if a.File != "" {
		return string(a.Source) + "/" + Name(a.File)
	}
	return string(a.Source)
}

// PrintKargsChange prints how kernel arguments were changed.
func (s *Screen) PrintKargsChange(c update.KargsChange) error {
	if len(c.Added)+len(c.Removed) == 0 {
		_, err := fmt.Fprintf(s.Out, "Nothing to do: these are the kernel arguments already, deployment %s\n", c.ID)
		return err
	}
	for _, arg := range c.Added {
		fmt.Fprintf(s.Out, "Added %s\n", Name(arg))
	}
	for _, arg := range c.Removed {
		fmt.Fprintf(s.Out, "Removed %s\n", Name(arg))
	}
	also := ""
	if c.Staged != "" {
		also = " and the staged deployment " + c.Staged.Short()
	}
	_, err := fmt.Fprintf(s.Out, "Takes effect at the next boot of deployment %s%s\n", c.ID.Short(), also)
	return err
}

// PrintAddon prints that an addon was written.
func (s *Screen) PrintAddon(file, cmdline string) error {
	_, err := fmt.Fprintf(s.Out, "Wrote %s, which adds '%s'. Sign it before it is put beside a signed kernel image.\n", Name(file), Name(cmdline))
	return err
}
