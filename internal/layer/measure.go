package layer

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs"
	"github.com/sysupdate-image/sysupdate-image/internal/digest"
	"github.com/sysupdate-image/sysupdate-image/internal/fsverity"
)

// Measure merges the archive of a layer into the tree root, as Apply does with
// a stored one, and stores nothing: of the content of a large file it computes
// the digest, by alg. Its memory does not depend on the sizes of files.
//
// Contents are also written to where keep says for their absolute paths; keep
// may return nil, and be nil itself. The archive is read to its end, so that
// its reader can say that it is not the right one.
func Measure(ctx context.Context, root *composefs.Node, tar io.Reader, alg digest.Algorithm, keep func(path string, n *composefs.Node) io.Writer) (*composefs.Node, error) {
	m := &meter{ctx: ctx, input: newInput(tar), alg: alg, keep: keep}
	root, err := apply(ctx, root, m)
	if err != nil {
		return nil, err
	}
	return root, m.tail(func([]byte) {})
}

// A meter is the source of a layer that is not stored.
type meter struct {
	input
	ctx  context.Context
	alg  digest.Algorithm
	keep func(path string, n *composefs.Node) io.Writer
}

func (m *meter) content(e *entry) error {
	if !e.external() {
		return e.readInline(m)
	}
	hash := fsverity.New(m.alg)
	var to io.Writer = hash
	if m.keep != nil {
		if w := m.keep("/"+strings.Join(e.path, "/"), e.node); w != nil {
			to = io.MultiWriter(hash, w)
		}
	}
	if err := m.copy(m.ctx, to, e.size); err != nil {
		return err
	}
	e.node.Digest = hash.Sum()
	_, err := m.next(padding(e.size))
	return endsEarly(err)
}

// Contents reads the archive of a layer once more and writes the contents of some
// large files to where want says for their numbers: from 0, in the order in which
// keep of Measure is called. It stops after the last of them, so what it has read
// was not verified: its caller knows the digests.
func Contents(ctx context.Context, tar io.Reader, want map[int]io.Writer) error {
	s := &selector{ctx: ctx, input: newInput(tar), want: want}
	p := parser{src: s}
	for s.found < len(want) {
		e, err := p.next()
		if err != nil {
			return endsEarly(err)
		}
		if err := s.content(e); err != nil {
			return fmt.Errorf("entry %s: %w", quote(e.name), err)
		}
	}
	return nil
}

// A selector is the source of a layer of which some contents are wanted.
type selector struct {
	input
	ctx    context.Context
	want   map[int]io.Writer
	number int // of the next large file
	found  int // of those that are wanted
}

func (s *selector) content(e *entry) error {
	if !e.external() {
		return e.readInline(s)
	}
	to, ok := s.want[s.number]
	if ok {
		s.found++
	} else {
		to = io.Discard
	}
	s.number++
	if err := s.copy(s.ctx, to, e.size); err != nil {
		return err
	}
	_, err := s.next(padding(e.size))
	return endsEarly(err)
}
