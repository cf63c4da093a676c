package lint

import (
	"bytes"
	"io"
	"io/fs"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
)

// files are those of an image to read. Links are followed as chroot(2) does, so none leads
// out of the image.
type files struct {
	root *tree.Node
	raw  fs.FS // without following
}

func newFiles(img Image) files { return files{img.Root, tree.FS(img.Root, img.Open)} }

// lookup returns the file that a path leads to, nil if there is none.
func (f files) lookup(name string) *tree.Node {
	_, n, err := tree.Resolve(f.root, name, true)
	if err != nil {
		return nil
	}
	return n
}

// find returns the path without links of a file, as an error of package fs if there is none.
func (f files) find(op, name string, follow bool) (string, error) {
	p, n, err := tree.Resolve(f.root, name, follow)
	if err == nil && n == nil {
		err = &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
	}
	return p, err
}

// Open implements fs.FS.
func (f files) Open(name string) (fs.File, error) {
	p, err := f.find("open", name, true)
	if err != nil {
		return nil, err
	}
	return f.raw.Open(p)
}

// Stat implements fs.StatFS.
func (f files) Stat(name string) (fs.FileInfo, error) {
	p, err := f.find("stat", name, true)
	if err != nil {
		return nil, err
	}
	return fs.Stat(f.raw, p)
}

// Lstat implements fs.ReadLinkFS.
func (f files) Lstat(name string) (fs.FileInfo, error) {
	p, err := f.find("lstat", name, false)
	if err != nil {
		return nil, err
	}
	return fs.Stat(f.raw, p)
}

// ReadLink implements fs.ReadLinkFS.
func (f files) ReadLink(name string) (string, error) {
	_, n, err := tree.Resolve(f.root, name, false)
	switch {
	case err != nil:
		return "", err
	case n == nil:
		return "", &fs.PathError{Op: "readlink", Path: name, Err: fs.ErrNotExist}
	case !n.IsSymlink():
		return "", &fs.PathError{Op: "readlink", Path: name, Err: fs.ErrInvalid}
	}
	return n.Target, nil
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
