package layout

import (
	"fmt"
	"math/bits"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/partition"
)

// Unfinished is the label of the root partition while an installation is under way.
const Unfinished = "unfinished install"

// labelOf returns the label that a partition is made with.
func labelOf(p Partition) string {
	if p.Role == Root {
		return Unfinished
	}
	return p.Label
}

// Complete returns the labels and attributes of partitions once the installation is complete,
// by their numbers. A program may have given them other attributes.
func (p Plan) Complete() map[int]partition.Change {
	changes := make(map[int]partition.Change)
	for i, part := range p.Partitions {
		changes[i+1] = partition.Change{Label: part.Label, Attributes: part.Attributes}
	}
	return changes
}

// Sfdisk returns the plan as a script for sfdisk(8), with unfinished labels.
func (p Plan) Sfdisk() string {
	var b strings.Builder
	fmt.Fprintf(&b, "label: gpt\nlabel-id: %s\nunit: sectors\n", p.UUID)
	for _, part := range p.Partitions {
		fmt.Fprintf(&b, "start=%d, size=%d, type=%s, uuid=%s, name=%q", part.Start/p.Sector, part.Size/p.Sector, part.Type, part.UUID, labelOf(part))
		if part.Attributes != 0 {
			fmt.Fprintf(&b, ", attrs=%q", "GUID:"+bitsOf(part.Attributes))
		}
		b.WriteString("\n")
	}
	return b.String()
}

// bitsOf returns the numbers of the bits that are set.
func bitsOf(n uint64) string {
	var numbers []string
	for n != 0 {
		i := bits.TrailingZeros64(n)
		numbers = append(numbers, fmt.Sprint(i))
		n &^= 1 << i
	}
	return strings.Join(numbers, ",")
}

// A File is one of those that systemd-repart(8) reads.
type File struct{ Name, Text string }

// Repart returns the plan as files of repart.d(5), with unfinished labels. What takes the
// rest of the disk has no size of its own there.
func (p Plan) Repart() []File {
	var files []File
	for i, part := range p.Partitions {
		var b strings.Builder
		fmt.Fprintf(&b, "[Partition]\nType=%s\nLabel=%s\nUUID=%s\nSizeMinBytes=%d\n", part.Type, labelOf(part), part.UUID, part.Size)
		if !part.Rest {
			fmt.Fprintf(&b, "SizeMaxBytes=%d\n", part.Size)
		}
		fmt.Fprintf(&b, "PaddingMaxBytes=0\nFlags=%#x\n", part.Attributes)
		files = append(files, File{fmt.Sprintf("%02d-%s.conf", 10*(i+1), part.Role), b.String()})
	}
	return files
}
