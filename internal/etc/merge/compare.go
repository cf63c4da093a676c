package merge

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/diff"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/verity"
	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/cancel"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
)

// Incidental are aspects that are no local change: times, names, and the mode of a link.
const Incidental = diff.Mtime | diff.Links | diff.LinkMode

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

// aspects returns in what a and b differ, directories without their entries. Times do not
// count: a file that was only touched is unchanged. If the type differs, nothing else does.
func (c compare) aspects(a, b *tree.Node) (diff.Aspects, error) {
	if a == b {
		return 0, nil
	}
	if a.Type() == 0 || b.Type() == 0 {
		return 0, errNotRead
	}
	if err := cancel.Err(c.ctx); err != nil {
		return 0, err
	}
	set, err := diff.Files(a, b, c.sameContent)
	if set&diff.Type != 0 {
		return diff.Type, err
	}
	return set &^ Incidental, err
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
	for _, p := range diff.Pairs(a, b) {
		if same, err := c.sameTree(p.Old, p.New); !same || err != nil {
			return false, err
		}
	}
	return true, nil
}

// Contents returns what compares contents that open opens. What disappears in the meantime
// is like nothing.
func Contents(ctx context.Context, open Opener) diff.ContentComparer {
	return compare{ctx, open}.sameContent
}

// sameContent reads what the trees do not tell apart.
func (c compare) sameContent(a, b *tree.Node) (bool, error) {
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
	if n.Inline != nil || diff.Size(n) == 0 {
		return io.NopCloser(bytes.NewReader(n.Inline)), nil
	}
	if c.open == nil {
		return nil, fmt.Errorf("no way to open object %s", n.Digest)
	}
	return c.open(n)
}
