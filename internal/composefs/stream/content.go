package stream

import (
	"io"

	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
)

// Content returns the stream as it was before it was split. It reads on from
// where Next is. open opens objects.
func (r *Reader) Content(open func(digest.Digest) (io.ReadCloser, error)) io.ReadCloser {
	return &content{reader: r, open: open}
}

type content struct {
	reader *Reader
	open   func(digest.Digest) (io.ReadCloser, error)
	inline []byte
	object io.ReadCloser
	err    error
}

func (c *content) Read(p []byte) (int, error) {
	for len(p) > 0 {
		if n := copy(p, c.inline); n > 0 {
			c.inline = c.inline[n:]
			return n, nil
		}
		if c.object != nil {
			if n, err := c.readObject(p); n > 0 || err != nil {
				return n, err
			}
			continue
		}
		if c.err == nil {
			c.err = c.next()
		}
		if c.err != nil {
			return 0, c.err
		}
	}
	return 0, nil
}

func (c *content) readObject(p []byte) (int, error) {
	n, err := c.object.Read(p)
	if err == io.EOF {
		err = c.object.Close()
		c.object = nil
	}
	c.err = err
	return n, err
}

func (c *content) next() error {
	chunk, err := c.reader.Next()
	if err != nil {
		return err
	}
	c.inline = chunk.Inline
	if !chunk.Object.IsZero() {
		c.object, err = c.open(chunk.Object)
	}
	return err
}

// Close closes the object that is open, not the Reader.
func (c *content) Close() error {
	if c.object == nil {
		return nil
	}
	err := c.object.Close()
	c.object = nil
	return err
}
