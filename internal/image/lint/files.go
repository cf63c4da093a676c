package lint

import (
	"bytes"
	"io"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
)

// files are those of an image to read. Links are followed as chroot(2) does, so none leads
// out of the image.
type files struct {
	tree.Following
	root *tree.Node
}

func newFiles(img Image) files { return files{tree.FollowingFS(img.Root, img.Open), img.Root} }

// lookup returns the file that a path leads to, nil if there is none.
func (f files) lookup(name string) *tree.Node {
	_, n, err := tree.Resolve(f.root, name, true)
	if err != nil {
		return nil
	}
	return n
}

// text returns the content of a file, and whether there is one.
func (f files) text(name string, most limits.Limit) (string, bool, error) {
	data, err := bounded.ReadFile(f, name, most)
	found, err := bounded.Found(err)
	return string(data), found, err
}

// A readerAt is the content of a file, at any place.
type readerAt interface {
	io.ReadCloser
	io.ReaderAt
}

// openAt opens the content of a file to read it in any order.
func (t *target) openAt(n *tree.Node) (readerAt, error) {
	r, err := t.Open(n)
	if err != nil {
		return nil, err
	}
	if at, ok := r.(readerAt); ok {
		return at, nil
	}
	defer r.Close()
	data, err := bounded.ReadAll(r, limits.InitramfsSize)
	if err != nil {
		return nil, err
	}
	return inMemory{bytes.NewReader(data)}, nil
}

type inMemory struct{ *bytes.Reader }

func (inMemory) Close() error { return nil }
