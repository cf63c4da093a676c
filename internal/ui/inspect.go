package ui

import (
	"bufio"
	"fmt"
	"strings"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bootentry"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
	"github.com/sysupdate-image/sysupdate-image/internal/inspect"
)

// PrintInspection prints what is known of an image, a row for each fact.
func (s *Screen) PrintInspection(i inspect.Inspection) error {
	w := bufio.NewWriter(s.Out)
	row := func(name string, value string) {
		if value != "" {
			fmt.Fprintf(w, "%-18s%s\n", name+":", Name(value))
		}
	}
	row("Image", i.Name)
	row("Kind", string(i.Kind))
	row("System", bootentry.Title(i.System, i.Version))
	row("Kernel", i.Kernel)
	row("Kernel arguments", strings.Join(i.KernelArguments, " "))
	row("Deployment", i.Deployment)
	row("Cannot boot", i.NotBooting)
	row("Manifest", i.ManifestDigest)
	row("Configuration", i.ConfigDigest)
	row("Architecture", i.Architecture)
	if i.Created != nil {
		row("Created", i.Created.UTC().Format(time.RFC3339))
	}
	row("Digest", i.Digest)
	if i.FormatVersion != nil {
		row("Format", fmt.Sprintf("V%d, %s", *i.FormatVersion, Size(i.ImageSize)))
	}
	for _, p := range i.Packages {
		if p.Unread {
			row("Packages", p.Manager+" database in an unsupported format")
			continue
		}
		row("Packages", fmt.Sprintf("%d (%s)", p.Count, p.Manager))
	}
	for _, text := range i.Notes {
		row("Note", text)
	}
	t := i.Tree
	row("Files", fmt.Sprintf(
		"%d, %d directories, %d symbolic links, %d others", t.Files, t.Directories, t.Symlinks, t.Others))
	row("Contents", fmt.Sprintf("%s in %s", Size(int64(t.Bytes)), Count(t.Objects, "object")))
	for _, l := range i.Layers {
		row("Layer", fmt.Sprintf("%s  %s", l.Digest, Size(l.Size)))
	}
	return w.Flush()
}

// PrintDigest prints a digest, and behind it the form that has it unless that is "".
func (s *Screen) PrintDigest(d digest.Digest, form string) error {
	text := d.String()
	if form != "" {
		text += "  " + form
	}
	_, err := fmt.Fprintln(s.Out, text)
	return err
}
