package layer

import (
	"bytes"
	"context"
	"errors"
	"io"

	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
)

// chunks is the source of a stored layer.
type chunks struct {
	ctx     context.Context
	stream  Stream
	objects objects
	inline  []byte // what is left of the last chunk
	buf     []byte
}

var errMisplaced = errors.New("stored layer is damaged: an object is not where a file's content should be")

func (c *chunks) next(n int) ([]byte, error) {
	c.buf = c.buf[:0]
	for len(c.buf) < n {
		if len(c.inline) == 0 {
			chunk, err := c.stream.Next()
			if err == io.EOF && len(c.buf) > 0 {
				err = io.ErrUnexpectedEOF
			}
			if err != nil {
				return c.buf, err
			}
			if !chunk.Object.IsZero() {
				return c.buf, errMisplaced
			}
			c.inline = chunk.Inline
		}
		take := min(n-len(c.buf), len(c.inline))
		c.buf = append(c.buf, c.inline[:take]...)
		c.inline = c.inline[take:]
	}
	return c.buf, nil
}

// content reads the content of e, with its padding, and enters it into the
// node.
func (c *chunks) content(e *entry) error {
	if !e.external() {
		data, err := e.readInline(c)
		if err == nil && e.sparse != nil {
			err = c.expand(e, bytes.NewReader(data))
		}
		return err
	}
	d, err := c.object()
	if err != nil {
		return err
	}
	if e.sparse != nil {
		err = c.expandObject(e, d)
	} else if e.isFile() {
		e.node.Digest = d
	}
	if err != nil {
		return err
	}
	_, err = c.next(padding(e.size))
	return endsEarly(err)
}

// readInline reads content that is kept in the image, or has no meaning, with
// its padding. It returns the content, which stays valid until the next call.
func (e *entry) readInline(src source) ([]byte, error) {
	data, err := src.next(int(e.size) + padding(e.size))
	if err != nil {
		return nil, endsEarly(err)
	}
	data = data[:e.size]
	if e.isFile() && e.sparse == nil && e.size > 0 {
		e.node.Inline = []byte(string(data))
	}
	return data, nil
}

// object returns the object that comes next.
func (c *chunks) object() (digest.Digest, error) {
	if len(c.inline) > 0 {
		return digest.Digest{}, errMisplaced
	}
	chunk, err := c.stream.Next()
	if err != nil {
		return digest.Digest{}, endsEarly(err)
	}
	if chunk.Object.IsZero() {
		return digest.Digest{}, errMisplaced
	}
	return chunk.Object, nil
}

// endsEarly calls the end of an archive what it is in the middle of an entry.
func endsEarly(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return errTruncated
	}
	return err
}
