package device

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/partition"
	"github.com/sysupdate-image/sysupdate-image/internal/format/superblock"
	"github.com/sysupdate-image/sysupdate-image/internal/install/layout"
	"github.com/sysupdate-image/sysupdate-image/internal/install/tools"
)

// A Content is what is on a disk that would be lost.
type Content struct {
	Things     []string // in words for a person; none on an empty disk
	Unfinished bool     // an installation of this program was interrupted
}

// Content finds out what is on the disk.
func (d *Disk) Content(ctx context.Context) (Content, error) {
	table, err := d.Table()
	if err != nil {
		return Content{}, err
	}
	var c Content
	for _, n := range table.Numbers() {
		p, _ := table.Partition(n)
		c.Unfinished = c.Unfinished || p.Label == layout.Unfinished
		c.Things = append(c.Things, fmt.Sprintf("partition %d, %s", n, d.describe(p)))
	}
	found, err := d.signatures(ctx)
	if err != nil {
		return Content{}, err
	}
	c.Things = append(c.Things, found...)
	if len(c.Things) > 0 {
		return c, nil
	}
	used, err := d.hasData()
	if used {
		c.Things = []string{"data that is not recognised"}
	}
	return c, err
}

// describe says what a partition is.
func (d *Disk) describe(p partition.Partition) string {
	words := []string{fmt.Sprintf("%d MiB", p.Size>>20)}
	content, err := superblock.Read(io.NewSectionReader(d.file, p.Start, p.Size), p.Size)
	switch {
	case p.Start < 0 || p.Size < 0 || err != nil:
	case content.Type != "":
		words = append(words, content.Type)
	case p.Type == layout.TypeESP:
		words = append(words, "EFI system partition")
	}
	if label := strings.TrimSpace(p.Label); label != "" {
		words = append(words, fmt.Sprintf("%q", label))
	}
	return strings.Join(words, ", ")
}

// signatures returns what wipefs(8) recognises on the disk itself.
func (d *Disk) signatures(ctx context.Context) ([]string, error) {
	out, err := tools.Command{Name: "wipefs", Args: []string{"--no-act", "--json", "--output", "TYPE,LABEL", d.Path}}.Output(ctx)
	if err != nil {
		return nil, fmt.Errorf("cannot tell what is on %s: %w", d, err)
	}
	var list struct {
		Signatures []struct{ Type, Label string }
	}
	if strings.TrimSpace(out) == "" {
		return nil, nil
	}
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		return nil, fmt.Errorf("cannot tell what is on %s: wipefs: %w", d, err)
	}
	var found []string
	for _, s := range list.Signatures {
		text := s.Type
		switch s.Type {
		case "PMBR":
			continue // a part of GPT
		case "gpt":
			text = "a partition table (GPT)"
		case "dos":
			text = "a partition table (MBR)"
		}
		if s.Label != "" {
			text += fmt.Sprintf(" %q", s.Label)
		}
		if !slices.Contains(found, text) {
			found = append(found, text)
		}
	}
	return found, nil
}

// hasData reports whether there is something at the beginning of the disk. Flash memory
// that was erased has ones there.
func (d *Disk) hasData() (bool, error) {
	head := make([]byte, min(1<<20, d.Size))
	if _, err := d.file.ReadAt(head, 0); err != nil && err != io.EOF {
		return false, fmt.Errorf("cannot read %s: %w", d, err)
	}
	empty := func(b byte) bool { return len(bytes.Trim(head, string([]byte{b}))) == 0 }
	return !empty(0) && !empty(0xff), nil
}
