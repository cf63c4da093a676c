package boot

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"
)

// besides tells, for an error, what takes room on the partition besides deployments
// and loaders: the files into which fsck.vfat puts clusters that belong to nothing,
// which were being written when the power failed, and the largest files of others.
func (p *Partition) besides() string {
	names, err := p.readDir(".")
	if err != nil {
		return ""
	}
	type file struct {
		name string
		size int64
	}
	var salvaged int64
	var others []file
	for _, name := range names {
		if slices.ContainsFunc([]string{"EFI", "loader", kernelsDir}, func(s string) bool { return strings.EqualFold(s, name) }) {
			continue
		}
		size, err := p.sizeOf(name, 1)
		if match, _ := path.Match("FSCK????.REC", strings.ToUpper(name)); match {
			salvaged += size
		} else if err == nil && size >= reserveSize {
			others = append(others, file{name, size})
		}
	}
	text := ""
	if salvaged > 0 {
		text = fmt.Sprintf("; FSCK*.REC there, which fsck.vfat has made, take %s and may be removed", mebibytes(salvaged, false))
	}
	slices.SortStableFunc(others, func(a, b file) int { return cmp.Compare(b.size, a.size) })
	for _, o := range others[:min(len(others), 3)] {
		text += fmt.Sprintf("; %s, of another program, takes %s", o.name, mebibytes(o.size, false))
	}
	return text
}
