// Package canonical computes the composefs digest of an image's tree. It hides the forms
// that a tree can have for this, and finds the one with which an image was sealed.
package canonical

import (
	"context"
	"fmt"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/selabel"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
)

// A Form says into what form a tree is brought before an image is made of it;
// see docs/formats/composefs.md, sections 2.3 and 2.4.
type Form struct {
	Boot       bool // as it boots: /boot and /sysroot empty, SELinux labels
	UserXattrs bool // with user.* attributes

	// OwnNanoseconds is what composefs-rs before 0.9.3 did in the form that boots,
	// and bootc with it: /boot and /sysroot get the seconds of /usr, and keep
	// their own nanoseconds.
	OwnNanoseconds bool
}

// Transform brings the tree root, which layers or a directory have made, into a
// form. content returns what is in a regular file: the image's SELinux policy is
// read.
func Transform(ctx context.Context, root *tree.Node, content func(*tree.Node) ([]byte, error), form Form) error {
	nanoseconds := make(map[string]uint32)
	for _, name := range emptied {
		if n := root.Entry(name); n != nil {
			nanoseconds[name] = n.Mtime.Nsec
		}
	}
	if err := tree.TransformForOCI(root, form.UserXattrs); err != nil || !form.Boot {
		return err
	}
	labeler, err := selabel.LoadTree(ctx, root, content)
	if err != nil {
		return fmt.Errorf("cannot read the image's SELinux policy: %w", err)
	}
	if err := tree.TransformForBoot(root, labeler); err != nil {
		return err
	}
	if err := labeler.Err(); err != nil {
		return err
	}
	if form.OwnNanoseconds {
		for name, nsec := range nanoseconds {
			root.Entry(name).Mtime.Nsec = nsec
		}
	}
	return nil
}

// emptied are the directories that are empty in the form that boots.
var emptied = []string{"boot", "sysroot"}

// Tree is Transform for a copy of raw, which it returns. content is given nodes of
// raw.
func Tree(ctx context.Context, raw *tree.Node, content func(*tree.Node) ([]byte, error), form Form) (*tree.Node, error) {
	root := clone(raw, make(map[*tree.Node]*tree.Node))
	err := Transform(ctx, root, func(n *tree.Node) ([]byte, error) { return content(original(n, root, raw)) }, form)
	if err != nil {
		return nil, err
	}
	return root, nil
}

// clone returns a copy of the tree n. copies is for files with several names.
func clone(n *tree.Node, copies map[*tree.Node]*tree.Node) *tree.Node {
	if c := copies[n]; c != nil {
		return c
	}
	c := n.Clone()
	if n.Linked() {
		copies[n] = c
	}
	for _, e := range n.Entries() {
		c.Set(e.Name, clone(e.Node, copies))
	}
	return c
}

// original returns the node below raw of which n, below root, is the copy. It is
// asked for a few files only, and a map of all would be as large as a tree.
func original(n, root, raw *tree.Node) *tree.Node {
	for _, e := range root.Entries() {
		from := raw.Entry(e.Name)
		if e.Node == n {
			return from
		}
		if e.Node.IsDir() {
			if found := original(n, e.Node, from); found != nil {
				return found
			}
		}
	}
	return nil
}
