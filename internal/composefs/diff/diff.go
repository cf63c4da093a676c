// Package diff compares two trees file by file. It hides how contents are compared if one
// tree has them inline and the other has only their digests.
package diff

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/verity"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
)

// Kinds of change.
const (
	Added   = "added"
	Removed = "removed"
	Changed = "changed"
)

// An Aspect is something that a file has otherwise in the other tree.
type Aspect string

// The aspects of a file.
const (
	Type    Aspect = "type"
	Content Aspect = "content" // of a regular file
	Target  Aspect = "target"  // of a symbolic link
	Device  Aspect = "device"  // numbers of a device
	Mode    Aspect = "mode"
	Owner   Aspect = "owner" // or group
	Xattr   Aspect = "xattr"
	Mtime   Aspect = "mtime"
	Links   Aspect = "links" // how many names a file has that is no directory
)

// Aspects are all there are.
var Aspects = []Aspect{Type, Content, Target, Device, Mode, Owner, Xattr, Mtime, Links}

// ParseAspects returns the aspects with these names.
func ParseAspects(names []string) (map[Aspect]bool, error) {
	aspects := make(map[Aspect]bool)
	for _, name := range names {
		if !slices.Contains(Aspects, Aspect(name)) {
			return nil, fmt.Errorf("%s: want some of %v", name, Aspects)
		}
		aspects[Aspect(name)] = true
	}
	return aspects, nil
}

// A Change is a file that two trees do not have in common, or not the same.
type Change struct {
	Path string   `json:"path"`
	Kind string   `json:"kind"`
	What []Detail `json:"what,omitempty"` // of a changed file, in the order of Aspects

	Old *tree.Node `json:"-"` // nil if it was added
	New *tree.Node `json:"-"` // nil if it was removed
}

// A Detail is an aspect with what it was and what it is, where that can be said
// in a word. Of a content that is its fs-verity digest, and its size besides.
type Detail struct {
	Aspect  Aspect  `json:"aspect"`
	Name    string  `json:"name,omitempty"` // of the extended attribute
	Old     string  `json:"old,omitempty"`
	New     string  `json:"new,omitempty"`
	OldSize *uint64 `json:"oldSize,omitempty"` // of Content, in bytes
	NewSize *uint64 `json:"newSize,omitempty"`
}

// A Diff is how one tree becomes another.
type Diff struct {
	Changes []Change

	// Unknown are files of the same size whose contents could not be compared,
	// since their digests have other algorithms. They are not among Changes.
	Unknown []string
}

// Trees returns how the tree old becomes the tree new, directories before what
// is in them. A file that became a directory, or a directory a file, is one
// change, and what was in the directory others. Aspects in ignore do not count.
func Trees(old, new *tree.Node, ignore map[Aspect]bool) Diff {
	d := differ{ignore: ignore}
	d.node("/", old, new)
	return d.Diff
}

type differ struct {
	Diff
	ignore map[Aspect]bool
}

// node compares what is at a path; nil is nothing.
func (d *differ) node(path string, old, new *tree.Node) {
	switch {
	case old == new:
		return
	case old == nil:
		d.Changes = append(d.Changes, Change{Path: path, Kind: Added, New: new})
	case new == nil:
		d.Changes = append(d.Changes, Change{Path: path, Kind: Removed, Old: old})
	default:
		if what := d.details(path, old, new); len(what) > 0 {
			d.Changes = append(d.Changes, Change{path, Changed, what, old, new})
		}
	}
	d.entries(strings.TrimSuffix(path, "/"), entriesOf(old), entriesOf(new))
}

func entriesOf(n *tree.Node) []tree.Entry {
	if n == nil {
		return nil
	}
	return n.Entries()
}

// entries compares two sorted lists.
func (d *differ) entries(dir string, old, new []tree.Entry) {
	for len(old) > 0 || len(new) > 0 {
		switch {
		case len(new) == 0 || len(old) > 0 && old[0].Name < new[0].Name:
			d.node(dir+"/"+old[0].Name, old[0].Node, nil)
			old = old[1:]
		case len(old) == 0 || new[0].Name < old[0].Name:
			d.node(dir+"/"+new[0].Name, nil, new[0].Node)
			new = new[1:]
		default:
			d.node(dir+"/"+old[0].Name, old[0].Node, new[0].Node)
			old, new = old[1:], new[1:]
		}
	}
}

// details returns what two files have otherwise.
func (d *differ) details(path string, old, new *tree.Node) (out []Detail) {
	add := func(a Aspect, name, from, to string) {
		if !d.ignore[a] {
			out = append(out, Detail{Aspect: a, Name: name, Old: from, New: to})
		}
	}
	if old.Type() != new.Type() {
		add(Type, "", TypeName(old), TypeName(new))
	} else {
		switch {
		case old.IsRegular():
			same, known := sameContent(old, new)
			if !known {
				d.Unknown = append(d.Unknown, path)
			} else if !same && !d.ignore[Content] {
				out = append(out, contentDetail(old, new))
			}
		case old.IsSymlink() && old.Target != new.Target:
			add(Target, "", old.Target, new.Target)
		case isDevice(old) && old.Rdev != new.Rdev:
			add(Device, "", device(old.Rdev), device(new.Rdev))
		}
	}
	if a, b := old.Mode&^tree.TypeMask, new.Mode&^tree.TypeMask; a != b {
		add(Mode, "", fmt.Sprintf("%04o", a), fmt.Sprintf("%04o", b))
	}
	if old.UID != new.UID || old.GID != new.GID {
		add(Owner, "", fmt.Sprintf("%d:%d", old.UID, old.GID), fmt.Sprintf("%d:%d", new.UID, new.GID))
	}
	eachXattr(old.Xattrs(), new.Xattrs(), func(name, from, to string) { add(Xattr, name, from, to) })
	if old.Mtime != new.Mtime {
		add(Mtime, "", timeText(old.Mtime), timeText(new.Mtime))
	}
	if old.Nlink != new.Nlink && !old.IsDir() && !new.IsDir() {
		add(Links, "", fmt.Sprint(old.Nlink), fmt.Sprint(new.Nlink))
	}
	return out
}

// sameContent reports whether two regular files have the same content, and whether
// that can be known.
func sameContent(a, b *tree.Node) (same, known bool) {
	if a.Size != b.Size {
		return false, true
	}
	if a.Size == 0 {
		return true, true
	}
	inlineA, inlineB := len(a.Inline) > 0, len(b.Inline) > 0
	switch {
	case inlineA && inlineB:
		return string(a.Inline) == string(b.Inline), true
	case inlineA:
		a, b = b, a
		fallthrough
	case inlineB:
		if a.Digest.IsZero() {
			return false, false
		}
		return verity.Sum(a.Digest.Algorithm(), b.Inline) == a.Digest, true
	case a.Digest.Algorithm() != b.Digest.Algorithm() || a.Digest.IsZero():
		// Without digests, the path of the content tells what can be told.
		return a.PayloadPath() == b.PayloadPath(), a.Digest.IsZero() && b.Digest.IsZero()
	}
	return a.Digest == b.Digest, true
}

// contentDetail returns what two contents are that are not the same.
func contentDetail(old, new *tree.Node) Detail {
	alg := cmp.Or(old.Digest.Algorithm(), new.Digest.Algorithm(), digest.SHA512)
	return Detail{
		Aspect: Content, Old: contentDigest(old, alg), New: contentDigest(new, alg), OldSize: &old.Size, NewSize: &new.Size,
	}
}

// contentDigest returns the digest of a content, "" where it cannot be had. alg
// is for one that is inline.
func contentDigest(n *tree.Node, alg digest.Algorithm) string {
	switch {
	case !n.Digest.IsZero():
		return n.Digest.String()
	case uint64(len(n.Inline)) == n.Size:
		return verity.Sum(alg, n.Inline).String()
	}
	return ""
}

// eachXattr calls f for each attribute that two sorted lists have otherwise.
func eachXattr(old, new []tree.Xattr, f func(name, from, to string)) {
	for len(old) > 0 || len(new) > 0 {
		switch {
		case len(new) == 0 || len(old) > 0 && old[0].Name < new[0].Name:
			f(old[0].Name, quote(old[0].Value), "")
			old = old[1:]
		case len(old) == 0 || new[0].Name < old[0].Name:
			f(new[0].Name, "", quote(new[0].Value))
			new = new[1:]
		default:
			if old[0].Value != new[0].Value {
				f(old[0].Name, quote(old[0].Value), quote(new[0].Value))
			}
			old, new = old[1:], new[1:]
		}
	}
}

// quote makes a value one word of a line; a long one is cut.
func quote(value string) string {
	const long = 64
	if len(value) > long {
		return fmt.Sprintf("%q… (%d bytes)", value[:long], len(value))
	}
	return fmt.Sprintf("%q", value)
}
