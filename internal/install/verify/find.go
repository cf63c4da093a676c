package verify

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/kcmdline"
)

// find returns by which partition an initramfs would find the root with these kernel
// arguments, and how; 0 with an error.
func (p *parts) find(options string) (number int, how string, err error) {
	root, ok := kcmdline.Parse(options).Last("root")
	if !ok || root == "gpt-auto" {
		number, err = p.typed()
		return number, "found by the type of its partition", err
	}
	var same []int
	for _, n := range p.table.Numbers() {
		if p.named(n, root) {
			same = append(same, n)
		}
	}
	switch len(same) {
	case 0:
		return 0, "", fmt.Errorf("the boot entry has root=%s, and nothing on this disk is that", root)
	case 1:
		return same[0], "found by root=" + root, nil
	}
	return 0, "", fmt.Errorf("the boot entry has root=%s, which is %s", root, count(len(same), "partition"))
}

// typed returns the root that is found without being named.
func (p *parts) typed() (int, error) {
	switch n := len(p.roots); {
	case n == 1:
		return p.roots[0], nil
	case n == 0 && len(p.hidden) > 0:
		return 0, errors.New("there is no root= in the boot entry, and the partition with the type of a root has the attribute " +
			"no-auto (bit 63): it is not found by its type")
	default:
		return 0, fmt.Errorf("there is no root= in the boot entry, and %s with the type of a root", count(n, "partition"))
	}
}

// links are the directories of udev with links to devices, by the word for root= that means
// the same.
var links = map[string]string{
	"uuid": "/dev/disk/by-uuid/", "partuuid": "/dev/disk/by-partuuid/",
	"label": "/dev/disk/by-label/", "partlabel": "/dev/disk/by-partlabel/",
}

// named reports whether the value of root= names a partition of the disk. By which name the
// kernel will know the disk is not known, but the number of the partition is.
func (p *parts) named(number int, root string) bool {
	entry, _ := p.table.Partition(number)
	content := p.contents[number]
	for word, own := range map[string]string{
		"uuid": content.UUID, "partuuid": entry.UUID, "label": content.Label, "partlabel": entry.Label,
	} {
		value, ok := strings.CutPrefix(root, links[word])
		if key, v, found := strings.Cut(root, "="); !ok && found && strings.EqualFold(key, word) {
			value, ok = strings.Trim(v, `"`), true
		}
		if ok {
			exact := value == own || strings.HasSuffix(word, "uuid") && strings.EqualFold(value, own)
			return own != "" && exact
		}
	}
	return partitionNumber(root) == number
}

// partitionNumber returns which partition of its disk a name of the kernel means, such as
// /dev/sda2 or /dev/nvme0n1p2; 0 for another name.
func partitionNumber(root string) int {
	name, ok := strings.CutPrefix(root, "/dev/")
	if !ok {
		return 0
	}
	disk := strings.TrimRight(name, "0123456789")
	n, err := strconv.Atoi(name[len(disk):])
	numbered, cut := strings.CutSuffix(disk, "p")
	switch {
	case err != nil:
		return 0
	case cut && (strings.HasPrefix(numbered, "nvme") || strings.HasPrefix(numbered, "mmcblk") || strings.HasPrefix(numbered, "loop")):
		return n
	case strings.Trim(disk, "abcdefghijklmnopqrstuvwxyz") != "":
		return 0
	}
	for _, prefix := range []string{"sd", "vd", "hd", "xvd", "ubd"} {
		if strings.HasPrefix(disk, prefix) && disk != prefix {
			return n
		}
	}
	return 0
}
