package merge

import (
	"context"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/format/cancel"
)

// A Kind says what happened to a file.
type Kind string

// The kinds of change.
const (
	Added    Kind = "added"
	Removed  Kind = "removed"
	Changed  Kind = "changed"  // type, content, target or device number
	Metadata Kind = "metadata" // only mode, owner or attributes
)

// A Change is a file that one tree has otherwise than another. Paths are
// absolute below /etc: "/" is /etc itself.
type Change struct {
	Path string
	Kind Kind
	What Aspects    `json:",omitempty"` // of Changed and Metadata
	Old  *tree.Node `json:"-"`          // nil if it was added
	New  *tree.Node `json:"-"`          // nil if it was removed
}

// Diff returns what has changed from the tree old to the tree new, directories
// before what is in them, without /etc/.updated. It takes time only where they
// are different nodes.
func Diff(ctx context.Context, old, new *tree.Node, open Opener) ([]Change, error) {
	return compare{ctx, open}.diff(old, new)
}

func (c compare) diff(old, new *tree.Node) ([]Change, error) {
	d := differ{compare: c}
	err := d.node("/", old, new)
	return d.changes, err
}

// A differ collects changes.
type differ struct {
	compare
	changes []Change
}

// node compares what is at path in both trees; nil is nothing.
func (d *differ) node(path string, old, new *tree.Node) error {
	if old == new || path == updated {
		return nil
	}
	if err := cancel.Err(d.ctx); err != nil {
		return err
	}
	if old != nil && new != nil {
		what, err := d.aspects(old, new)
		if err != nil {
			return err
		}
		if what != 0 {
			d.changes = append(d.changes, Change{path, kindOf(what), what, old, new})
		}
	} else if old == nil {
		d.changes = append(d.changes, Change{Path: path, Kind: Added, New: new})
	} else {
		d.changes = append(d.changes, Change{Path: path, Kind: Removed, Old: old})
	}
	for name := range eachName(old, new) {
		if err := d.node(join(path, name), child(old, name), child(new, name)); err != nil {
			return err
		}
	}
	return nil
}

func kindOf(what Aspects) Kind {
	if what&(Type|Content|Target|Device) != 0 {
		return Changed
	}
	return Metadata
}

// child returns the entry of n called name, nil if n is not a directory or has
// no such entry.
func child(n *tree.Node, name string) *tree.Node {
	if n == nil {
		return nil
	}
	return n.Entry(name)
}

// eachName yields the names in two directories, in order, each once. Either
// may be nil or not a directory.
func eachName(a, b *tree.Node) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		x, y := entries(a), entries(b)
		for len(x) > 0 || len(y) > 0 {
			var name string
			switch {
			case len(y) == 0 || len(x) > 0 && x[0].Name < y[0].Name:
				name, x = x[0].Name, x[1:]
			case len(x) == 0 || y[0].Name < x[0].Name:
				name, y = y[0].Name, y[1:]
			default:
				name, x, y = x[0].Name, x[1:], y[1:]
			}
			if !yield(name) {
				return
			}
		}
	}
}

func entries(n *tree.Node) []tree.Entry {
	if n == nil {
		return nil
	}
	return n.Entries()
}

func join(dir, name string) string { return strings.TrimSuffix(dir, "/") + "/" + name }
