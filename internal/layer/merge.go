package layer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs"
	"github.com/sysupdate-image/sysupdate-image/internal/digest"
	"github.com/sysupdate-image/sysupdate-image/internal/splitstream"
)

// The names that layers have for what they remove, see "Whiteouts" in the OCI
// image specification's layer.md.
const (
	whiteoutPrefix = ".wh."
	whiteoutOpaque = ".wh..wh..opq"
)

// A Stream is a layer as Import has stored it: a *splitstream.Reader.
type Stream interface {
	Next() (splitstream.Chunk, error)
}

// Apply merges a layer into the tree root, or begins a tree if root is nil, and
// returns it. Entries have their effect in the order of the archive, as
// composefs-rs does it: a whiteout also removes what came before it in the same
// layer. Nothing is ever followed: a name means an entry of this tree whatever
// symbolic links there are.
//
// After an error the tree is of no more use. Links are not counted.
func Apply(ctx context.Context, root *composefs.Node, stream Stream) (*composefs.Node, error) {
	return apply(ctx, root, &chunks{stream: stream})
}

// A contents gives the bytes of an archive, and enters the content of an entry
// into its node.
type contents interface {
	source
	content(e *entry) error
}

func apply(ctx context.Context, root *composefs.Node, src contents) (*composefs.Node, error) {
	if root == nil {
		root = &composefs.Node{Mode: composefs.TypeDir | 0o755}
	}
	p := parser{src: src}
	var attrs attrCounter
	for {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		e, err := p.next()
		if err == io.EOF {
			return root, nil
		}
		if err != nil {
			return nil, err
		}
		err = src.content(e)
		if err == nil && e.node != nil {
			err = attrs.add(root, e.node)
		}
		if err == nil {
			err = e.merge(root)
		}
		if err != nil {
			return nil, fmt.Errorf("entry %s: %w", quote(e.name), err)
		}
	}
}

// merge enters e into the tree root.
func (e *entry) merge(root *composefs.Node) error {
	if len(e.path) == 0 {
		root.CopyMetadata(e.node)
		return nil
	}
	node := e.node
	if node == nil {
		var err error
		if node, err = linked(root, e.target); err != nil {
			return err
		}
	}
	dir, err := directory(root, e.path[:len(e.path)-1])
	if err != nil {
		return err
	}
	name := e.path[len(e.path)-1]
	switch removed, whiteout := strings.CutPrefix(name, whiteoutPrefix); {
	case name == whiteoutOpaque:
		dir.Clear()
		return nil
	case whiteout:
		dir.Remove(removed)
		return nil
	}
	if old := dir.Entry(name); old != nil && old.IsDir() && node.IsDir() {
		old.CopyMetadata(node)
		return nil
	}
	dir.Set(name, node)
	return nil
}

// directory returns the directory with a path.
func directory(root *composefs.Node, path []string) (*composefs.Node, error) {
	for i, name := range path {
		next := root.Entry(name)
		if next == nil {
			return nil, fmt.Errorf("its directory %q is not there", "/"+strings.Join(path[:i+1], "/"))
		}
		if !next.IsDir() {
			return nil, fmt.Errorf("%q is not a directory", "/"+strings.Join(path[:i+1], "/"))
		}
		root = next
	}
	return root, nil
}

// linked returns the file that a hard link to path shares.
func linked(root *composefs.Node, path []string) (*composefs.Node, error) {
	dir, err := directory(root, path[:len(path)-1])
	if err != nil {
		return nil, fmt.Errorf("hard link to %q: %w", "/"+strings.Join(path, "/"), err)
	}
	node := dir.Entry(path[len(path)-1])
	switch {
	case node == nil:
		return nil, fmt.Errorf("hard link to %q, which is not there", "/"+strings.Join(path, "/"))
	case node.IsDir():
		return nil, fmt.Errorf("hard link to the directory %q", "/"+strings.Join(path, "/"))
	}
	return node, nil
}

// chunks is the source of a stored layer.
type chunks struct {
	stream Stream
	inline []byte // what is left of the last chunk
	buf    []byte
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
		return e.readInline(c)
	}
	d, err := c.object()
	if err != nil {
		return err
	}
	e.node.Digest = d
	_, err = c.next(padding(e.size))
	return endsEarly(err)
}

// readInline reads content that is kept in the image, or has no meaning, with
// its padding.
func (e *entry) readInline(src source) error {
	data, err := src.next(int(e.size) + padding(e.size))
	if err != nil {
		return endsEarly(err)
	}
	if e.node != nil && e.node.IsRegular() && e.size > 0 {
		e.node.Inline = []byte(string(data[:e.size]))
	}
	return nil
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
