// Package canonical makes the composefs digest of an image's tree. It hides
// which forms of a tree there are to compute one of, and finds out which one an
// image was sealed with.
package canonical

import (
	"fmt"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs"
	"github.com/sysupdate-image/sysupdate-image/internal/digest"
	"github.com/sysupdate-image/sysupdate-image/internal/erofs"
	"github.com/sysupdate-image/sysupdate-image/internal/selabel"
)

// A Form says into what form a tree is brought before an image is made of it;
// see docs/formats/composefs.md, sections 2.3 and 2.4.
type Form struct {
	Boot       bool // as it boots: /boot and /sysroot empty, SELinux labels
	UserXattrs bool // with user.* attributes
}

// Tree brings a copy of the tree raw, which layers or a directory have made,
// into a form. content returns what is in a regular file: the image's SELinux
// policy is read.
func Tree(raw *composefs.Node, content func(*composefs.Node) ([]byte, error), form Form) (*composefs.Node, error) {
	copies := make(map[*composefs.Node]*composefs.Node)
	root := clone(raw, copies)
	if err := composefs.TransformForOCI(root, form.UserXattrs); err != nil {
		return nil, err
	}
	if !form.Boot {
		return root, nil
	}
	originals := make(map[*composefs.Node]*composefs.Node, len(copies))
	for n, c := range copies {
		originals[c] = n
	}
	labeler, err := selabel.LoadTree(root, func(n *composefs.Node) ([]byte, error) { return content(originals[n]) })
	if err != nil {
		return nil, fmt.Errorf("cannot read the image's SELinux policy: %w", err)
	}
	if err := composefs.TransformForBoot(root, labeler); err != nil {
		return nil, err
	}
	return root, nil
}

// clone returns a copy of the tree n, and enters the copy of each node in copies.
func clone(n *composefs.Node, copies map[*composefs.Node]*composefs.Node) *composefs.Node {
	if c := copies[n]; c != nil {
		return c
	}
	c := n.Clone()
	copies[n] = c
	for _, e := range n.Entries() {
		c.Set(e.Name, clone(e.Node, copies))
	}
	return c
}

// A Variant is a way to compute the digest of an image.
type Variant struct {
	Version    int // of the image format
	UserXattrs bool
}

// String returns "V1" or "V1 with user.* attributes".
func (v Variant) String() string {
	if v.UserXattrs {
		return fmt.Sprintf("V%d with user.* attributes", v.Version)
	}
	return fmt.Sprintf("V%d", v.Version)
}

// Variants are the ways in which images have been sealed, the usual one first.
// Builders with bootc before 1.16.4 made V2, and composefs-rs can be told to
// keep user.* attributes.
var Variants = []Variant{{erofs.V1, false}, {erofs.V2, false}, {erofs.V1, true}, {erofs.V2, true}}

// A Computed is a variant and the digest that it gives.
type Computed struct {
	Variant
	Digest digest.Digest
}

// Find computes the digest of an image in all variants until one gives want, and
// returns those that it tried: if fits is true, the last is the one. content is
// as for Tree.
func Find(raw *composefs.Node, content func(*composefs.Node) ([]byte, error), boot bool, want digest.Digest) (tried []Computed, fits bool, err error) {
	var root *composefs.Node
	var form Form
	for _, v := range Variants {
		if v.UserXattrs && !hasUserXattrs(raw) {
			break // nothing else than without
		}
		if root == nil || v.UserXattrs != form.UserXattrs {
			form = Form{Boot: boot, UserXattrs: v.UserXattrs}
			if root, err = Tree(raw, content, form); err != nil {
				return tried, false, err
			}
		}
		d, err := erofs.Digest(root, erofs.Options{Version: v.Version, Algorithm: want.Algorithm()})
		if err != nil {
			return tried, false, err
		}
		tried = append(tried, Computed{v, d})
		if d == want {
			return tried, true, nil
		}
	}
	return tried, false, nil
}

func hasUserXattrs(root *composefs.Node) (found bool) {
	root.Walk(func(_ string, n *composefs.Node) {
		for _, x := range n.Xattrs() {
			found = found || strings.HasPrefix(x.Name, "user.")
		}
	})
	return found
}
