package merge

import (
	"context"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/diff"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
)

// ToUpper returns the smallest tree that can be the upper directory of an
// overlay over lower, so that one sees seen. It is the inverse of FromUpper.
func ToUpper(ctx context.Context, seen, lower *tree.Node, open Opener) (*tree.Node, error) {
	u := upper{
		compare: compare{ctx, open},
		needed:  map[*tree.Node]bool{},
		copies:  map[*tree.Node]*tree.Node{},
	}
	if err := u.find(seen, lower); err != nil {
		return nil, err
	}
	return u.directory(seen, lower)
}

// An upper is one run of ToUpper.
type upper struct {
	compare
	// needed are the files that must be in the upper directory under one of
	// their names. They are then under all of them, or would not be linked.
	needed map[*tree.Node]bool
	copies map[*tree.Node]*tree.Node
}

// find fills needed.
func (u *upper) find(seen, lower *tree.Node) error {
	for _, e := range seen.Entries() {
		below := child(lower, e.Name)
		if e.Node == below {
			continue
		}
		if e.Node.IsDir() {
			if err := u.find(e.Node, below); err != nil {
				return err
			}
			continue
		}
		same, err := u.same(e.Node, below)
		if err != nil {
			return err
		}
		if !same {
			u.needed[e.Node] = true
		}
	}
	return nil
}

// directory returns the upper directory for a directory over lower, which may
// be nil or something else than a directory.
func (u *upper) directory(seen, lower *tree.Node) (*tree.Node, error) {
	out := escaped(seen)
	out.Clear()
	if lower != nil && !lower.IsDir() {
		out.SetXattr(opaqueAttr, "y")
	}
	for _, p := range diff.Pairs(lower, seen) {
		if p.New == nil {
			out.Set(p.Name, whiteout())
			continue
		}
		entry, err := u.entry(p.New, p.Old)
		if err != nil {
			return nil, err
		}
		if entry != nil {
			out.Set(p.Name, entry)
		}
	}
	return out, nil
}

// entry returns what the upper directory must contain for n to be visible over
// below, nil for nothing.
func (u *upper) entry(n, below *tree.Node) (*tree.Node, error) {
	switch {
	case n == below:
		return nil, nil
	case n.IsDir():
		out, err := u.directory(n, below)
		if err != nil || len(out.Entries()) > 0 {
			return out, err
		}
		same, err := u.same(n, below)
		if same {
			return nil, err
		}
		return out, err
	case n.IsWhiteout():
		// No overlay can show such a device; here it would hide something.
		if below != nil {
			return whiteout(), nil
		}
		return nil, nil
	case !u.needed[n]:
		return nil, nil
	}
	if u.copies[n] == nil {
		u.copies[n] = escaped(n)
	}
	return u.copies[n], nil
}

func whiteout() *tree.Node {
	return &tree.Node{Mode: tree.TypeChar, Nlink: 1}
}
