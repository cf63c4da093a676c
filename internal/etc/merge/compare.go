package merge

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/verity"
	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/cancel"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
)

// Aspects say in what two files differ, as a set of bits. Times are no aspect:
// a file that was only touched is unchanged.
type Aspects uint8

// The aspects of a file. If the type differs, nothing else is looked at.
const (
	Type Aspects = 1 << iota
	Content
	Target
	Device
	Mode
	Owner
	Xattrs
	Label // security.selinux, which belongs to the policy more than to the file
)

// String returns the names of the aspects, separated by commas.
func (a Aspects) String() string {
	var names []string
	for i, name := range []string{"type", "content", "target", "device", "mode", "owner", "xattrs", "label"} {
		if a&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, ",")
}

// MarshalText returns String.
func (a Aspects) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// errNotRead says that more of an image is needed than was read, see
// erofs.ReadPart. It can only come from a mistake in this program, and is here so
// that such a mistake loses nothing.
var errNotRead = errors.New("a file was not read from its image")

// A compare compares files until ctx ends; open is for contents that nothing else
// tells apart.
type compare struct {
	ctx  context.Context
	open Opener
}

// aspects returns in what a and b differ, directories without their entries.
func (c compare) aspects(a, b *tree.Node) (Aspects, error) {
	if a == b {
		return 0, nil
	}
	if a.Type() == 0 || b.Type() == 0 {
		return 0, errNotRead
	}
	if err := cancel.Err(c.ctx); err != nil {
		return 0, err
	}
	if a.Type() != b.Type() {
		return Type, nil
	}
	var set Aspects
	add := func(differ bool, aspect Aspects) {
		if differ {
			set |= aspect
		}
	}
	switch a.Type() {
	case tree.TypeRegular:
		same, err := c.sameContent(a, b)
		if err != nil {
			return 0, err
		}
		add(!same, Content)
	case tree.TypeSymlink:
		add(a.Target != b.Target, Target)
	case tree.TypeChar, tree.TypeBlock:
		add(a.Rdev != b.Rdev, Device)
	}
	// The mode of a link has no meaning and cannot be set.
	add(a.Mode != b.Mode && !a.IsSymlink(), Mode)
	add(a.UID != b.UID || a.GID != b.GID, Owner)
	add(!slices.Equal(unlabelled(a), unlabelled(b)), Xattrs)
	add(label(a) != label(b), Label)
	return set, nil
}

// same reports whether a and b are the same except for their times, or both nil.
func (c compare) same(a, b *tree.Node) (bool, error) {
	if a == nil || b == nil {
		return a == b, nil
	}
	set, err := c.aspects(a, b)
	return set == 0, err
}

// sameTree is same for a and b and everything below.
func (c compare) sameTree(a, b *tree.Node) (bool, error) {
	if same, err := c.same(a, b); !same || err != nil || a == b {
		return same, err
	}
	if len(a.Entries()) != len(b.Entries()) {
		return false, nil
	}
	for i, e := range a.Entries() {
		f := b.Entries()[i]
		if e.Name != f.Name {
			return false, nil
		}
		if same, err := c.sameTree(e.Node, f.Node); !same || err != nil {
			return false, err
		}
	}
	return true, nil
}

// sameContent compares two regular files by whatever is cheapest.
func (c compare) sameContent(a, b *tree.Node) (bool, error) {
	switch {
	case size(a) != size(b):
		return false, nil
	case size(a) == 0:
		return true, nil
	case a.Inline != nil && b.Inline != nil:
		return bytes.Equal(a.Inline, b.Inline), nil
	case a.Inline != nil && !b.Digest.IsZero():
		return verity.Sum(b.Digest.Algorithm(), a.Inline) == b.Digest, nil
	case b.Inline != nil && !a.Digest.IsZero():
		return verity.Sum(a.Digest.Algorithm(), b.Inline) == a.Digest, nil
	case !a.Digest.IsZero() && a.Digest.Algorithm() == b.Digest.Algorithm():
		return a.Digest == b.Digest, nil
	}
	alg := cmp.Or(a.Digest.Algorithm(), b.Digest.Algorithm(), digest.SHA512)
	x, err := c.sum(alg, a)
	if err != nil {
		return false, butGone(err)
	}
	y, err := c.sum(alg, b)
	return err == nil && x == y, butGone(err)
}

// sum returns the digest of the content of a regular file, and with it no size:
// a content may be larger than memory.
func (c compare) sum(alg digest.Algorithm, n *tree.Node) (digest.Digest, error) {
	if n.Digest.Algorithm() == alg {
		return n.Digest, nil
	}
	r, err := c.reader(n)
	if err != nil {
		return digest.Digest{}, err
	}
	d, _, err := verity.SumReader(alg, cancel.Reader(c.ctx, r))
	return d, errors.Join(err, r.Close())
}

// butGone returns err, and nil for ErrGone: what has disappeared is like nothing.
func butGone(err error) error {
	if errors.Is(err, ErrGone) {
		return nil
	}
	return err
}

// read returns the content of a small regular file.
func (c compare) read(n *tree.Node) ([]byte, error) {
	r, err := c.reader(n)
	if err != nil {
		return nil, err
	}
	data, err := bounded.ReadAll(cancel.Reader(c.ctx, r), limits.Accounts)
	return data, errors.Join(err, r.Close())
}

// reader opens the content of a regular file.
func (c compare) reader(n *tree.Node) (io.ReadCloser, error) {
	if n.Inline != nil || size(n) == 0 {
		return io.NopCloser(bytes.NewReader(n.Inline)), nil
	}
	if c.open == nil {
		return nil, fmt.Errorf("no way to open object %s", n.Digest)
	}
	return c.open(n)
}

func size(n *tree.Node) uint64 {
	if n.Inline != nil {
		return uint64(len(n.Inline))
	}
	return n.Size
}

// label returns the SELinux label of n, "" if it has none.
func label(n *tree.Node) string {
	l, _ := n.Xattr(tree.XattrSELinux)
	return l
}

// unlabelled returns the extended attributes of n without the SELinux label.
func unlabelled(n *tree.Node) []tree.Xattr {
	if label(n) == "" {
		return n.Xattrs()
	}
	return slices.DeleteFunc(slices.Clone(n.Xattrs()), func(x tree.Xattr) bool { return x.Name == tree.XattrSELinux })
}
