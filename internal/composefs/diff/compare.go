package diff

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/verity"
)

// Aspects are what two files differ in, as a set of bits.
type Aspects uint16

// The aspects of a file.
const (
	Type     Aspects = 1 << iota
	Content          // of a regular file
	Target           // of a symbolic link
	Device           // numbers of a device
	Mode             // of anything but a symbolic link
	Owner            // or group
	Xattrs           // but for Label
	Label            // security.selinux, which belongs to the policy more than to the file
	LinkMode         // of what is a symbolic link now; it means nothing and cannot be set
	Mtime
	Links // how many names a file has that is no directory
)

// String returns the names of the aspects, separated by commas.
func (a Aspects) String() string {
	var names []string
	for i, name := range []string{
		"type", "content", "target", "device", "mode", "owner", "xattrs", "label", "link mode", "mtime", "links",
	} {
		if a&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, ",")
}

// reported are the aspects that a Detail tells apart, by its names for them.
var reported = []struct {
	name string
	is   Aspects
}{
	{"type", Type},
	{"content", Content},
	{"target", Target},
	{"device", Device},
	{"mode", Mode | LinkMode},
	{"owner", Owner},
	{"xattr", Xattrs | Label},
	{"mtime", Mtime},
	{"links", Links},
}

// Names returns the names that a Detail has for aspects.
func Names() (names []string) {
	for _, r := range reported {
		names = append(names, r.name)
	}
	return names
}

// ParseAspects returns the aspects with some of Names.
func ParseAspects(names []string) (Aspects, error) {
	var aspects Aspects
	known := Names()
	for _, name := range names {
		i := slices.Index(known, name)
		if i < 0 {
			return 0, fmt.Errorf("%s: want some of %v", name, known)
		}
		aspects |= reported[i].is
	}
	return aspects, nil
}

// A ContentComparer reports whether two regular files of the same size, which is not 0,
// have the same content. It is asked where the trees do not tell.
type ContentComparer func(old, now *tree.Node) (bool, error)

// Files returns what two files differ in, directories without their entries. The error is
// that of contents.
func Files(old, now *tree.Node, contents ContentComparer) (Aspects, error) {
	var set Aspects
	add := func(differ bool, aspect Aspects) {
		if differ {
			set |= aspect
		}
	}
	switch {
	case old.Type() != now.Type():
		add(true, Type)
	case old.IsRegular():
		same, err := sameContent(old, now, contents)
		if err != nil {
			return 0, err
		}
		add(!same, Content)
	case old.IsSymlink():
		add(old.Target != now.Target, Target)
	case old.IsDevice():
		add(old.Rdev != now.Rdev, Device)
	}
	mode := Mode
	if now.IsSymlink() {
		mode = LinkMode
	}
	add(permissions(old) != permissions(now), mode)
	add(old.UID != now.UID || old.GID != now.GID, Owner)
	add(!slices.Equal(unlabelled(old), unlabelled(now)), Xattrs)
	add(old.Label() != now.Label(), Label)
	add(old.Mtime != now.Mtime, Mtime)
	add(old.Nlink != now.Nlink && !old.IsDir() && !now.IsDir(), Links)
	return set, nil
}

func permissions(n *tree.Node) uint32 { return n.Mode &^ tree.TypeMask }

// unlabelled returns the extended attributes of n without the SELinux label.
func unlabelled(n *tree.Node) []tree.Xattr {
	if n.Label() == "" {
		return n.Xattrs()
	}
	return slices.DeleteFunc(slices.Clone(n.Xattrs()), func(x tree.Xattr) bool { return x.Name == tree.XattrSELinux })
}

// sameContent compares two regular files by whatever is cheapest.
func sameContent(a, b *tree.Node, contents ContentComparer) (bool, error) {
	inline := len(a.Inline) > 0 && len(b.Inline) > 0
	switch {
	case Size(a) != Size(b):
		return false, nil
	case Size(a) == 0:
		return true, nil
	case inline:
		return string(a.Inline) == string(b.Inline), nil
	case len(a.Inline) > 0 && !b.Digest.IsZero():
		return verity.Sum(b.Digest.Algorithm(), a.Inline) == b.Digest, nil
	case len(b.Inline) > 0 && !a.Digest.IsZero():
		return verity.Sum(a.Digest.Algorithm(), b.Inline) == a.Digest, nil
	case !a.Digest.IsZero() && a.Digest.Algorithm() == b.Digest.Algorithm():
		return a.Digest == b.Digest, nil
	case a.PayloadPath() != "" && a.PayloadPath() == b.PayloadPath():
		return true, nil
	}
	return contents(a, b)
}

// Size returns the size of a regular file, in bytes.
func Size(n *tree.Node) uint64 {
	if n.Inline != nil {
		return uint64(len(n.Inline))
	}
	return n.Size
}
