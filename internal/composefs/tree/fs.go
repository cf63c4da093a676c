package tree

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"math"
	"path"
	"time"
)

// FS returns the tree below root as a file system to read from. open returns
// the content of a regular file that is not kept in the image; for those that
// are it is not called. Symbolic links are not followed: they cannot be opened
// as anything but themselves. What a file is can be asked without its content. It
// is an error if a content does not have the size that the tree says.
func FS(root *Node, open func(*Node) (io.ReadCloser, error)) fs.FS {
	return treeFS{root, open}
}

type treeFS struct {
	root *Node
	open func(*Node) (io.ReadCloser, error)
}

// find returns what a path names.
func (t treeFS) find(op, name string) (nodeInfo, error) {
	if !fs.ValidPath(name) {
		return nodeInfo{}, &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	n := t.root
	if name != "." {
		n = t.root.Lookup(name)
	}
	if n == nil {
		return nodeInfo{}, &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
	}
	return nodeInfo{path.Base(name), n}, nil
}

// Open implements fs.FS.
func (t treeFS) Open(name string) (fs.File, error) {
	info, err := t.find("open", name)
	if err != nil {
		return nil, err
	}
	n := info.node
	switch {
	case n.IsDir():
		return &openDir{info: info}, nil
	case !n.IsRegular():
		return &openFile{info, io.NopCloser(bytes.NewReader([]byte(n.Target))), info.Size()}, nil
	case n.Digest.IsZero() && n.Payload() == "" && n.Size == uint64(len(n.Inline)):
		return &openFile{info, io.NopCloser(bytes.NewReader(n.Inline)), info.Size()}, nil
	}
	content, err := t.open(n)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return &openFile{info, content, info.Size()}, nil
}

// Stat implements fs.StatFS.
func (t treeFS) Stat(name string) (fs.FileInfo, error) {
	info, err := t.find("stat", name)
	if err != nil {
		return nil, err
	}
	return info, nil
}

// nodeInfo is what fs.FileInfo and fs.DirEntry say of a node.
type nodeInfo struct {
	name string
	node *Node
}

func (i nodeInfo) Name() string               { return i.name }
func (i nodeInfo) IsDir() bool                { return i.node.IsDir() }
func (i nodeInfo) Type() fs.FileMode          { return i.Mode().Type() }
func (i nodeInfo) Info() (fs.FileInfo, error) { return i, nil }
func (i nodeInfo) ModTime() time.Time {
	return time.Unix(i.node.Mtime.Sec, int64(i.node.Mtime.Nsec))
}

// Sys returns the *Node.
func (i nodeInfo) Sys() any { return i.node }

func (i nodeInfo) Size() int64 {
	switch {
	case i.node.IsRegular():
		return int64(min(i.node.Size, math.MaxInt64))
	case i.node.IsSymlink():
		return int64(len(i.node.Target))
	}
	return 0
}

// goTypes are the file types in the terms of package fs.
var goTypes = map[uint32]fs.FileMode{
	TypeFIFO:    fs.ModeNamedPipe,
	TypeChar:    fs.ModeDevice | fs.ModeCharDevice,
	TypeDir:     fs.ModeDir,
	TypeBlock:   fs.ModeDevice,
	TypeSymlink: fs.ModeSymlink,
	TypeSocket:  fs.ModeSocket,
}

func (i nodeInfo) Mode() fs.FileMode {
	mode := fs.FileMode(i.node.Mode&0o777) | goTypes[i.node.Type()]
	for bit, flag := range map[uint32]fs.FileMode{0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky} {
		if i.node.Mode&bit != 0 {
			mode |= flag
		}
	}
	return mode
}

type openFile struct {
	info    nodeInfo
	content io.ReadCloser
	left    int64 // bytes that the content should still have
}

func (f *openFile) Stat() (fs.FileInfo, error) { return f.info, nil }
func (f *openFile) Close() error               { return f.content.Close() }

func (f *openFile) Read(p []byte) (int, error) {
	n, err := f.content.Read(p)
	f.left -= int64(n)
	if f.left < 0 || f.left > 0 && err == io.EOF {
		size := f.info.Size()
		return n, &fs.PathError{Op: "read", Path: f.info.name, Err: fmt.Errorf("it has %d bytes or more: want %d", size-f.left, size)}
	}
	return n, err
}

type openDir struct {
	info nodeInfo
	read int // entries returned so far
}

func (d *openDir) Stat() (fs.FileInfo, error) { return d.info, nil }
func (d *openDir) Close() error               { return nil }

func (d *openDir) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: d.info.name, Err: fs.ErrInvalid}
}

// ReadDir implements fs.ReadDirFile.
func (d *openDir) ReadDir(n int) ([]fs.DirEntry, error) {
	rest := d.info.node.Entries()[d.read:]
	if n > 0 {
		if len(rest) == 0 {
			return nil, io.EOF
		}
		rest = rest[:min(n, len(rest))]
	}
	out := make([]fs.DirEntry, 0, len(rest))
	for _, e := range rest {
		out = append(out, nodeInfo{e.Name, e.Node})
	}
	d.read += len(rest)
	return out, nil
}
