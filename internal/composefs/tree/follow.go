package tree

import (
	"io"
	"io/fs"
)

// Following is a tree as a file system, as FS has it, but with links followed as chroot(2)
// does: none leads out of the tree.
type Following struct {
	root *Node
	raw  fs.FS
}

// FollowingFS returns the tree below root to read files by their paths. open is that of FS.
func FollowingFS(root *Node, open func(*Node) (io.ReadCloser, error)) Following {
	return Following{root, FS(root, open)}
}

// find returns the path without links of a file, as an error of package fs if there is none.
func (f Following) find(op, name string, follow bool) (string, error) {
	p, n, err := Resolve(f.root, name, follow)
	if err == nil && n == nil {
		err = &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
	}
	return p, err
}

// Open implements fs.FS.
func (f Following) Open(name string) (fs.File, error) {
	p, err := f.find("open", name, true)
	if err != nil {
		return nil, err
	}
	return f.raw.Open(p)
}

// Stat implements fs.StatFS.
func (f Following) Stat(name string) (fs.FileInfo, error) {
	p, err := f.find("stat", name, true)
	if err != nil {
		return nil, err
	}
	return fs.Stat(f.raw, p)
}

// Lstat implements fs.ReadLinkFS.
func (f Following) Lstat(name string) (fs.FileInfo, error) {
	p, err := f.find("lstat", name, false)
	if err != nil {
		return nil, err
	}
	return fs.Stat(f.raw, p)
}

// ReadLink implements fs.ReadLinkFS.
func (f Following) ReadLink(name string) (string, error) {
	_, n, err := Resolve(f.root, name, false)
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
