// Package diff compares two trees file by file. It hides how contents are compared if one
// tree has them inline and the other has only their digests. Trees returns what has changed,
// to be shown; Each, Pairs and Files are its parts, with which etc/merge compares as well.
package diff

import (
	"cmp"
	"fmt"

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
	Aspect  string  `json:"aspect"`         // one of Names
	Name    string  `json:"name,omitempty"` // of the extended attribute
	Old     string  `json:"old,omitempty"`
	New     string  `json:"new,omitempty"`
	OldSize *uint64 `json:"oldSize,omitempty"` // of a content, in bytes
	NewSize *uint64 `json:"newSize,omitempty"`
}

// A Diff is how one tree becomes another.
type Diff struct {
	Changes []Change

	// Unknown are files of the same size whose contents could not be compared,
	// since their digests have other algorithms. They are not among Changes.
	Unknown []string
}

// Options say how to compare trees.
type Options struct {
	Ignore   Aspects         // aspects that do not count
	Contents ContentComparer // nil to compare no more than the trees tell: see Unknown
}

// Trees returns how the tree old becomes the tree now, directories before what
// is in them. A file that became a directory, or a directory a file, is one
// change, and what was in the directory others. The error is that of Contents.
func Trees(old, now *tree.Node, o Options) (Diff, error) {
	d := differ{Options: o}
	err := Each(old, now, d.add)
	return d.Diff, err
}

type differ struct {
	Options
	Diff
}

// add adds what has changed at a path.
func (d *differ) add(path string, old, now *tree.Node) error {
	switch {
	case old == nil:
		d.Changes = append(d.Changes, Change{Path: path, Kind: Added, New: now})
		return nil
	case now == nil:
		d.Changes = append(d.Changes, Change{Path: path, Kind: Removed, Old: old})
		return nil
	}
	contents := d.Contents
	if contents == nil {
		contents = func(old, now *tree.Node) (bool, error) { return d.assume(path, old, now), nil }
	}
	what, err := Files(old, now, contents)
	if what &^= d.Ignore; what != 0 {
		d.Changes = append(d.Changes, Change{path, Changed, details(old, now, what), old, now})
	}
	return err
}

// assume reports whether contents that the trees do not tell apart are taken for the same.
func (d *differ) assume(path string, old, now *tree.Node) bool {
	if old.PayloadPath() != "" && now.PayloadPath() != "" && old.Digest.IsZero() && now.Digest.IsZero() {
		return false // without digests, the place of a content tells what can be told
	}
	d.Unknown = append(d.Unknown, path)
	return true
}

// details returns what two files have otherwise.
func details(old, now *tree.Node, set Aspects) (out []Detail) {
	add := func(a Aspects, name, from, to string) {
		if set&a != 0 {
			out = append(out, Detail{Aspect: name, Old: from, New: to})
		}
	}
	add(Type, "type", TypeName(old), TypeName(now))
	if set&Content != 0 {
		out = append(out, contentDetail(old, now))
	}
	add(Target, "target", old.Target, now.Target)
	add(Device, "device", device(old), device(now))
	add(Mode|LinkMode, "mode", fmt.Sprintf("%04o", permissions(old)), fmt.Sprintf("%04o", permissions(now)))
	add(Owner, "owner", fmt.Sprintf("%d:%d", old.UID, old.GID), fmt.Sprintf("%d:%d", now.UID, now.GID))
	if set&(Xattrs|Label) != 0 {
		out = append(out, xattrDetails(old.Xattrs(), now.Xattrs())...)
	}
	add(Mtime, "mtime", timeText(old.Mtime), timeText(now.Mtime))
	add(Links, "links", fmt.Sprint(old.Nlink), fmt.Sprint(now.Nlink))
	return out
}

// contentDetail returns what two contents are that are not the same.
func contentDetail(old, now *tree.Node) Detail {
	alg := cmp.Or(old.Digest.Algorithm(), now.Digest.Algorithm(), digest.SHA512)
	return Detail{
		Aspect: "content", Old: contentDigest(old, alg), New: contentDigest(now, alg), OldSize: &old.Size, NewSize: &now.Size,
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

// xattrDetails returns the attributes that two sorted lists have otherwise.
func xattrDetails(old, now []tree.Xattr) (out []Detail) {
	for o, n := range join(old, now, func(x tree.Xattr) string { return x.Name }) {
		d := Detail{Aspect: "xattr", Name: o.Name, Old: quote(o.Value), New: quote(n.Value)}
		switch {
		case o == n:
			continue
		case o.Name == "":
			d.Name, d.Old = n.Name, ""
		case n.Name == "":
			d.New = ""
		}
		out = append(out, d)
	}
	return out
}

// quote makes a value one word of a line; a long one is cut.
func quote(value string) string {
	const long = 64
	if len(value) > long {
		return fmt.Sprintf("%q… (%d bytes)", value[:long], len(value))
	}
	return fmt.Sprintf("%q", value)
}
