package merge

import (
	"context"
	"io/fs"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/diff"
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
	What diff.Aspects // of Changed and Metadata
	Old  *tree.Node   // nil if it was added
	New  *tree.Node   // nil if it was removed
}

// Diff returns what has changed from the tree old to the tree now, directories
// before what is in them, without /etc/.updated. It takes time only where they
// are different nodes.
func Diff(ctx context.Context, old, now *tree.Node, open Opener) ([]Change, error) {
	return compare{ctx, open}.diff(old, now)
}

func (c compare) diff(old, now *tree.Node) (changes []Change, err error) {
	err = diff.Each(old, now, func(path string, old, now *tree.Node) error {
		if path == updated {
			return fs.SkipDir
		}
		if err := cancel.Err(c.ctx); err != nil {
			return err
		}
		change, err := c.change(path, old, now)
		if change.Kind != "" {
			changes = append(changes, change)
		}
		return err
	})
	return changes, err
}

// change returns what has changed at a path, a change without a Kind for nothing.
func (c compare) change(path string, old, now *tree.Node) (Change, error) {
	switch {
	case old == nil:
		return Change{Path: path, Kind: Added, New: now}, nil
	case now == nil:
		return Change{Path: path, Kind: Removed, Old: old}, nil
	}
	what, err := c.aspects(old, now)
	if what == 0 {
		return Change{}, err
	}
	return Change{path, kindOf(what), what, old, now}, err
}

func kindOf(what diff.Aspects) Kind {
	if what&(diff.Type|diff.Content|diff.Target|diff.Device) != 0 {
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

func join(dir, name string) string { return strings.TrimSuffix(dir, "/") + "/" + name }
