package layer

import (
	"bufio"
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
	m := &meter{ctx: ctx, in: bufio.NewReaderSize(tar, copySize), buf: make([]byte, copySize), alg: alg, keep: keep}
	root, err := apply(root, m)
	if err != nil {
		return nil, err
	}
	return root, m.tail()
}

// A meter is the source of a layer that is not stored.
type meter struct {
	ctx  context.Context
	in   *bufio.Reader
	buf  []byte
	alg  digest.Algorithm
	keep func(path string, n *composefs.Node) io.Writer
}

func (m *meter) next(n int) ([]byte, error) {
	if n > len(m.buf) {
		m.buf = make([]byte, n)
	}
	read, err := io.ReadFull(m.in, m.buf[:n])
	return m.buf[:read], err
}

func (m *meter) content(e *entry) error {
	if err := m.ctx.Err(); err != nil {
		return err
	}
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
	if err := m.copy(to, e.size); err != nil {
		return err
	}
	e.node.Digest = hash.Sum()
	_, err := m.next(padding(e.size))
	return endsEarly(err)
}

func (m *meter) copy(to io.Writer, size int64) error {
	for left := size; left > 0; {
		if err := m.ctx.Err(); err != nil {
			return err
		}
		data, err := m.next(int(min(left, copySize)))
		if err != nil {
			if endsEarly(err) == errTruncated {
				err = fmt.Errorf("%w: %d of %d bytes", errTruncated, size-left+int64(len(data)), size)
			}
			return err
		}
		if _, err := to.Write(data); err != nil {
			return err
		}
		left -= int64(len(data))
	}
	return nil
}

// tail reads what follows the end of the archive.
func (m *meter) tail() error {
	for total := 0; total <= maxTail; {
		n, err := m.in.Read(m.buf)
		total += n
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return errTail
}
