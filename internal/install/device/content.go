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
	if c.Things, err = d.lost(); err != nil || len(c.Things) > 0 {
		return c, err
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

// starts are where the first partition of a disk begins: today, and in the days of DOS. Its
// file system is still there if the partition table was lost.
var starts = []int64{1 << 20, 63 * 512}

// lost returns the file systems of partitions that no table names.
func (d *Disk) lost() (found []string, err error) {
	for _, at := range starts {
		size := d.Size - at
		if size <= 0 {
			continue
		}
		c, err := superblock.Read(io.NewSectionReader(d.file, at, size), size)
		if err != nil {
			return nil, fmt.Errorf("cannot read %s: %w", d, err)
		}
		if c.Type != "" {
			found = append(found, fmt.Sprintf("%s at byte %d, which is in no partition", c.Type, at))
		}
	}
	return found, nil
}

const (
	headSize    = 1 << 20 // what is read at the beginning of a disk
	sampleSize  = 4096    // and at as many places as samples says
	sampleCount = 256
)

// hasData reports whether there is something at the beginning of the disk or at one of
// several places all over it. To read all of it takes hours.
func (d *Disk) hasData() (bool, error) {
	if used, err := d.used(0, headSize); used || err != nil {
		return used, err
	}
	for i := range int64(sampleCount) {
		at := d.Size / sampleCount * i / sampleSize * sampleSize
		if used, err := d.used(at, sampleSize); used || err != nil {
			return used, err
		}
	}
	return false, nil
}

// used reports whether a part of the disk is not empty. Flash memory that was erased has
// ones there.
func (d *Disk) used(at, size int64) (bool, error) {
	data := make([]byte, max(0, min(size, d.Size-at)))
	if _, err := d.file.ReadAt(data, at); err != nil && err != io.EOF {
		return false, fmt.Errorf("cannot read %s: %w", d, err)
	}
	empty := func(b byte) bool { return len(bytes.Trim(data, string([]byte{b}))) == 0 }
	return !empty(0) && !empty(0xff), nil
}
