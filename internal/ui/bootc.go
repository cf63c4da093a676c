package ui

import (
	"bufio"
	"cmp"
	"fmt"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/diff"
	"github.com/sysupdate-image/sysupdate-image/internal/etc/edit"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/inspect"
	"github.com/sysupdate-image/sysupdate-image/internal/update"
)

// PrintContainer prints what bootc tells of an image that is a directory.
func (s *Screen) PrintContainer(c inspect.Container) error {
	w := bufio.NewWriter(s.Out)
	kernel, kind := "none", ""
	if c.Kernel != nil {
		kernel, kind = c.Kernel.Version, "vmlinuz"
		if c.Kernel.Unified {
			kind = "UKI"
		}
	}
	for _, row := range [][2]string{
		{"Kernel", kernel}, {"Type", kind}, {"Kargs", cmp.Or(strings.Join(c.Kargs, " "), "none")},
	} {
		if row[1] != "" {
			fmt.Fprintf(w, "%6s: %s\n", row[0], Name(row[1]))
		}
	}
	return w.Flush()
}

// PrintConfigDiff lists local changes to /etc in bootc's form.
func (s *Screen) PrintConfigDiff(changes []edit.Change) error {
	w := bufio.NewWriter(s.Out)
	for _, kind := range []struct{ mark, name string }{{"+", diff.Added}, {"~", diff.Changed}, {"-", diff.Removed}} {
		for _, c := range changes {
			if c.Kind == kind.name {
				fmt.Fprintf(w, "%s %q\n", kind.mark, strings.TrimPrefix(c.Path, "/etc/"))
			}
		}
	}
	return w.Flush()
}

// PrintBootcUpdate prints whether there is an update so that scripts for bootc understand it.
func (s *Screen) PrintBootcUpdate(u update.Update, quiet bool) error {
	s.printSignature(u.Signature, quiet)
	if !u.Available {
		_, err := fmt.Fprintf(s.Out, "No changes in: %s\n  Digest: %s\n  Reason: %s\n", u.Reference, u.ManifestDigest, whyNoUpdate(u))
		return err
	}
	fmt.Fprintf(s.Out, "Update available for: %s\n", u.Reference)
	if u.Version != "" {
		fmt.Fprintf(s.Out, "  Version: %s\n", Name(u.Version))
	}
	_, err := fmt.Fprintf(s.Out, "  Digest: %s\n  To fetch: %s, %s\n", u.ManifestDigest, Count(u.FetchLayers, "layer"), Size(u.FetchBytes))
	return err
}

// PrintFollowed prints which reference a machine follows now, and its deployment.
func (s *Screen) PrintFollowed(id deployment.ID, reference string) error {
	_, err := fmt.Fprintf(s.Out, "Following %s from now on, deployment %s\n", reference, id)
	return err
}
