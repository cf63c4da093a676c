package layer

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/verity"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
)

// Measure merges the archive of a layer over those before it, as Apply does with
// a stored one, and stores nothing: of the content of a large file it computes
// the digest, by alg. Its memory does not depend on the sizes of files.
//
// Contents are also written to where keep says for their absolute paths; keep
// may return nil, and be nil itself. The archive is read to its end, so that
// its reader can say that it is not the right one.
func (m *Merger) Measure(ctx context.Context, tar io.Reader, alg digest.Algorithm, keep func(path string, n *tree.Node) io.Writer) error {
	src := &meter{ctx: ctx, input: newInput(tar), alg: alg, keep: keep}
	if err := m.merge(ctx, src); err != nil {
		return err
	}
	return src.tail(func([]byte) {})
}

// A meter is the source of a layer that is not stored.
type meter struct {
	input
	ctx  context.Context
	alg  digest.Algorithm
	keep func(path string, n *tree.Node) io.Writer
}

func (m *meter) content(e *entry) error {
	if !e.external() {
		data, err := e.readInline(m)
		if err == nil && e.sparse != nil && e.isFile() {
			err = e.expand(m.ctx, bytes.NewReader(data), &measured{verity.New(m.alg)}, m.writer(e))
		}
		return err
	}
	if !e.isFile() {
		return m.pass(e)
	}
	hash := &measured{verity.New(m.alg)}
	if e.sparse != nil {
		err := e.expand(m.ctx, io.LimitReader(m.Reader, e.size), hash, m.writer(e))
		return m.end(e, err)
	}
	var to io.Writer = hash
	if w := m.writer(e); w != nil {
		to = io.MultiWriter(hash, w)
	}
	if err := m.copy(m.ctx, to, e.size); err != nil {
		return err
	}
	e.node.Digest = hash.Sum()
	return m.end(e, nil)
}

// writer returns where the content of a file is to be kept, nil if nowhere.
func (m *meter) writer(e *entry) io.Writer {
	if m.keep == nil || !e.large() {
		return nil
	}
	return m.keep("/"+strings.Join(e.path, "/"), e.node)
}

// end reads the padding after the content of e.
func (m *meter) end(e *entry, err error) error {
	if err == nil {
		_, err = m.next(padding(e.size))
	}
	return endsEarly(err)
}

// pass reads content that belongs to no file.
func (m *meter) pass(e *entry) error {
	return m.end(e, m.copy(m.ctx, io.Discard, e.size))
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
	var to io.Writer
	if e.large() {
		to = s.want[s.number]
		s.number++
	}
	if to != nil {
		s.found++
	} else {
		to = io.Discard
	}
	var err error
	switch {
	case e.sparse != nil && to != io.Discard:
		err = e.sparse.expand(s.ctx, to, io.LimitReader(s.Reader, e.size), e.size)
	default:
		err = s.copy(s.ctx, to, e.size)
	}
	if err == nil {
		_, err = s.next(padding(e.size))
	}
	return endsEarly(err)
}
