// Package layer turns the tar archive of a layer into objects and a stream that refers to
// them, and such streams into the tree of an image. It hides tar: its formats, how layers
// use it, and how they could abuse it.
package layer

import (
	"context"
	"fmt"
	"io"
	"sync"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/stream"
	"github.com/sysupdate-image/sysupdate-image/internal/format/bug"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
)

const (
	inlineSize = 64 << 10 // inline bytes that are gathered for the stream

	// While an object is committed, the kernel writes it to the disk and
	// computes its digest; the archive is read on meanwhile.
	maxCommits = 8
)

// An object is the content of a file on its way into a repository.
type object interface {
	io.Writer
	// Commit ends the object and returns its digest. It may be called while
	// other objects are written.
	Commit() (digest.Digest, error)
	Abort()
}

// A splitter writes the contents of an archive's large files to objects and all
// else to a stream, in order.
type splitter struct {
	newObject func() (object, error)
	in        input
	inline    []byte // what goes into the stream next
	out       chan part
	commits   chan struct{} // one element for each that is under way
}

// A part of a stream: bytes, or an object that will have a digest.
type part struct {
	inline []byte
	object chan committed
	size   int64
}

type committed struct {
	digest digest.Digest
	err    error
}

// split reads the archive tar to its end, and once. Its memory does not depend
// on the sizes of files. When it returns, no object is being written any more.
func split(ctx context.Context, tar io.Reader, newObject func() (object, error), stream *stream.Writer) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s := &splitter{
		newObject: newObject,
		in:        newInput(tar),
		out:       make(chan part, maxCommits),
		commits:   make(chan struct{}, maxCommits),
	}
	var writing sync.WaitGroup
	writing.Go(func() {
		if err := bug.Catch(func() error { return write(stream, s.out) }); err != nil {
			cancel(err)
			for range s.out { // so that run does not wait
			}
		}
	})
	err := s.run(ctx)
	close(s.out)
	writing.Wait()
	for range maxCommits { // wait for all that write has not waited for
		s.commits <- struct{}{}
	}
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// write writes parts to a stream.
func write(stream *stream.Writer, parts <-chan part) error {
	for p := range parts {
		if p.object == nil {
			stream.Inline(p.inline)
			continue
		}
		c := <-p.object
		if c.err != nil {
			return c.err
		}
		stream.External(c.digest, p.size)
	}
	return nil
}

func (s *splitter) run(ctx context.Context) error {
	p := parser{src: s}
	for entries := int64(0); ; entries++ {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := limits.Files.Check(entries); err != nil {
			return err
		}
		e, err := p.next()
		if err != nil && err != io.EOF {
			return err
		}
		s.inline = append(s.inline, p.head...)
		if err == io.EOF {
			s.flush()
			return s.tail()
		}
		if err := s.content(ctx, e); err != nil {
			return fmt.Errorf("entry %s: %w", quote(e.name), err)
		}
	}
}

// next makes the splitter the source of its parser.
func (s *splitter) next(n int) ([]byte, error) { return s.in.next(n) }

// content reads the content of e with its padding. Headers stay together with
// the content of a small file, since composefs-rs does not look for these in
// two parts.
func (s *splitter) content(ctx context.Context, e *entry) error {
	if !e.external() {
		data, err := s.next(int(e.size) + padding(e.size))
		if err != nil {
			return endsEarly(err)
		}
		s.inline = append(s.inline, data...)
		if len(s.inline) > inlineSize {
			s.flush()
		}
		return nil
	}
	s.flush()
	if err := s.external(ctx, e.size); err != nil {
		return err
	}
	data, err := s.next(padding(e.size))
	s.inline = append(s.inline, data...)
	return endsEarly(err)
}

// external makes an object of the next size bytes.
func (s *splitter) external(ctx context.Context, size int64) error {
	o, err := s.newObject()
	if err != nil {
		return err
	}
	if err := s.in.copy(ctx, o, size); err != nil {
		o.Abort()
		return err
	}
	done := make(chan committed, 1)
	s.commits <- struct{}{}
	go func() {
		var c committed
		c.err = bug.Catch(func() (err error) {
			c.digest, err = o.Commit()
			return err
		})
		done <- c
		<-s.commits
	}()
	s.out <- part{object: done, size: size}
	return nil
}

// flush hands the inline bytes over.
func (s *splitter) flush() {
	if len(s.inline) > 0 {
		s.out <- part{inline: s.inline}
		s.inline = nil
	}
}

// tail reads what comes after the end of the archive, which is padding as a
// rule and in any case has no meaning.
func (s *splitter) tail() error {
	return s.in.tail(func(p []byte) {
		s.inline = append(s.inline, p...)
		s.flush()
	})
}
