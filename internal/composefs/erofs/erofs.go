// Package erofs hides the layout of composefs images: EROFS file systems that
// hold a tree without its content. It writes them byte for byte as mkcomposefs
// and composefs-rs do, since an image's fs-verity digest is what names and
// verifies a deployment, and it reads them back into the tree they were made of.
//
// EROFS itself is described in Documentation/filesystems/erofs.rst and
// fs/erofs/erofs_fs.h of the kernel.
package erofs

import (
	"context"
	"io"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/verity"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
)

// Versions of the image format, by the number in the image's header.
const (
	V0 = 0 // as mkcomposefs writes a tree without whiteouts
	V1 = 1 // as V0, but a directory with whiteouts is marked in a second way; bootc since 1.16.4
	V2 = 2 // of composefs-rs before 0.8 and bootc before 1.16.4

	// Auto is what mkcomposefs does without options: V1 if the tree has a
	// whiteout, else V0.
	Auto = -1
)

// A Dialect says whom to follow where mkcomposefs (C, 1.0.8) and composefs-rs
// (0.9.0) make different images of V0 or V1 from one tree. They never do for
// what an ordinary container image becomes.
type Dialect uint8

const (
	// ComposefsRS is for trees made of OCI images, which bootc must name the
	// same: a file has as many links as names; its inode is where its first
	// name is, in the order of Walk; the earliest time is the smallest as an
	// unsigned number, so times before 1970 never are; a marker that a
	// directory has already, of its own, is there twice; a whiteout in / that
	// looks just like one of the 256 that every image has is taken for it.
	ComposefsRS Dialect = iota

	// Mkcomposefs is for dumps: the link count is that of the node; a file's
	// inode is where its home is (Node.Home); times are signed; a marker
	// replaces an attribute of the same name; no inode shares more than 128
	// attributes with others.
	Mkcomposefs
)

// Options of Write and Digest. The zero value with an Algorithm writes V0.
type Options struct {
	Version   int              // V0, V1, V2 or Auto
	Algorithm digest.Algorithm // of Digest; Write does not use it
	Dialect   Dialect          // V2 has only one
}

// Write writes the image of the tree below root. It does not change the tree,
// and holds, besides the tree, about 200 bytes for each file. Where it returns
// an error because of the tree, nothing was written. It ends when ctx does.
func Write(ctx context.Context, w io.Writer, root *tree.Node, opts Options) error {
	img, err := prepare(root, opts)
	if err != nil {
		return err
	}
	if err := img.layout(); err != nil {
		return err
	}
	return img.writeTo(ctx, w)
}

// Digest returns the fs-verity digest, by opts.Algorithm, of the image that
// Write writes. It writes and hashes at the same time.
func Digest(ctx context.Context, root *tree.Node, opts Options) (digest.Digest, error) {
	d, _, err := Measure(ctx, root, opts)
	return d, err
}

// Measure is Digest, and also returns how many bytes the image has.
func Measure(ctx context.Context, root *tree.Node, opts Options) (digest.Digest, int64, error) {
	h := verity.New(opts.Algorithm)
	p := newPipe(h)
	err := Write(ctx, p, root, opts)
	p.close()
	if err != nil {
		return digest.Digest{}, 0, err
	}
	return h.Sum(), p.size, nil
}

// A pipe hands what is written to it to another writer, which never fails, on
// another goroutine.
type pipe struct {
	current    []byte
	full, free chan []byte
	done       chan struct{}
	size       int64 // bytes
}

const (
	pipeBuffers    = 4
	pipeBufferSize = 128 << 10
)

func newPipe(w io.Writer) *pipe {
	p := &pipe{
		current: make([]byte, 0, pipeBufferSize),
		full:    make(chan []byte, pipeBuffers),
		free:    make(chan []byte, pipeBuffers),
		done:    make(chan struct{}),
	}
	for range pipeBuffers - 1 {
		p.free <- make([]byte, 0, pipeBufferSize)
	}
	go func() {
		defer close(p.done)
		for b := range p.full {
			w.Write(b)
			p.free <- b[:0]
		}
	}()
	return p
}

func (p *pipe) Write(b []byte) (int, error) {
	n := len(b)
	p.size += int64(n)
	for len(b) > 0 {
		take := min(len(b), cap(p.current)-len(p.current))
		p.current = append(p.current, b[:take]...)
		b = b[take:]
		if len(p.current) == cap(p.current) {
			p.full <- p.current
			p.current = <-p.free
		}
	}
	return n, nil
}

// close waits until all has been written.
func (p *pipe) close() {
	p.full <- p.current
	close(p.full)
	<-p.done
}
