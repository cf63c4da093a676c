package etcmerge

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs"
	"github.com/sysupdate-image/sysupdate-image/internal/digest"
	"github.com/sysupdate-image/sysupdate-image/internal/fsverity"
	"github.com/sysupdate-image/sysupdate-image/internal/sys"
)

// localPayload begins the Payload of a file whose content is in a directory on
// disk; which directory that is follows, if there are several, and after a colon
// the path in it.
const localPayload = "local"

// inlineSize is up to what size images keep contents inline, so that comparing
// with them needs no digest.
const inlineSize = 64

// ReadDir returns the tree of a directory as it is on disk; the content of
// files stays there and can be opened by LocalOpener. Mount points below are
// not entered: mounted returns what stands for the one at a path, nil for
// nothing, and may be nil itself. What disappears while ReadDir runs is left
// out.
func ReadDir(dir *os.File, alg digest.Algorithm, mounted func(path string) *composefs.Node) (*composefs.Node, error) {
	return readDir(dir, "", alg, mounted)
}

// ReadDirs is ReadDir for several directories, with an Opener for all of them.
func ReadDirs(alg digest.Algorithm, dirs ...*os.File) (trees []*composefs.Node, open Opener, err error) {
	for i, dir := range dirs {
		tag := strconv.Itoa(i)
		tree, err := readDir(dir, tag, alg, nil)
		if err != nil {
			return nil, nil, err
		}
		trees, open = append(trees, tree), localOpener(dir, tag, open)
	}
	return trees, open, nil
}

func readDir(dir *os.File, tag string, alg digest.Algorithm, mounted func(path string) *composefs.Node) (*composefs.Node, error) {
	stat, err := sys.Statx(dir, "")
	if err != nil {
		return nil, err
	}
	r := dirReader{alg: alg, tag: tag, mounted: mounted, mount: stat.MountID, links: map[inode]*composefs.Node{}}
	root, err := r.node(dir, "", stat)
	if err != nil {
		return nil, err
	}
	return root, r.entries(dir, "/", root)
}

// LocalOpener returns an Opener for the trees that come from what ReadDir has
// made of dir; other nodes are left to images.
func LocalOpener(dir *os.File, images Opener) Opener { return localOpener(dir, "", images) }

func localOpener(dir *os.File, tag string, images Opener) Opener {
	return func(n *composefs.Node) (io.ReadCloser, error) {
		path, ok := strings.CutPrefix(n.Payload(), localPayload+tag+":")
		if ok {
			return openRegular(dir, path)
		}
		if images == nil {
			return nil, fmt.Errorf("object %s is not in %s", n.Digest, dir.Name())
		}
		return images(n)
	}
}

// openRegular opens a file for reading, and nothing that has taken its place:
// opening a FIFO would not return.
func openRegular(dir *os.File, path string) (*os.File, error) {
	f, err := sys.Openat2(dir, path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0, sys.ResolveBeneath|sys.ResolveNoSymlinks)
	if err != nil {
		return nil, err
	}
	stat, err := sys.Statx(f, "")
	if err == nil && stat.Mode&composefs.TypeMask != composefs.TypeRegular {
		err = fmt.Errorf("%s: no longer a regular file", f.Name())
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// A dirReader is one run of ReadDir.
type dirReader struct {
	alg     digest.Algorithm
	tag     string // of the directory, in Payload
	mounted func(path string) *composefs.Node
	mount   uint64                    // ID of the mount that is read
	links   map[inode]*composefs.Node // files with several names
}

// An inode tells files apart. The device is part of it, since each subvolume
// of btrfs has numbers of its own.
type inode struct {
	major, minor uint32
	number       uint64
}

// entries reads what is in dir into n.
func (r *dirReader) entries(dir *os.File, path string, n *composefs.Node) error {
	list, err := sys.Openat(dir, ".", os.O_RDONLY|syscall.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	defer list.Close()
	names, err := list.Readdirnames(-1)
	if err != nil {
		return err
	}
	slices.Sort(names)
	for _, name := range names {
		entry, err := r.entry(list, name, join(path, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if entry != nil {
			n.Set(name, entry)
		}
	}
	return nil
}

// entry reads name in dir and all below it.
func (r *dirReader) entry(dir *os.File, name, path string) (*composefs.Node, error) {
	stat, err := sys.Statx(dir, name)
	if err != nil {
		return nil, err
	}
	if stat.MountID != r.mount || stat.MountRoot {
		if r.mounted == nil {
			return nil, nil
		}
		return r.mounted(path), nil
	}
	file := inode{stat.DevMajor, stat.DevMinor, stat.Inode}
	if n := r.links[file]; n != nil {
		return n, nil
	}
	n, err := r.node(dir, name, stat)
	if err != nil {
		return nil, err
	}
	switch {
	case n.IsDir():
		sub, err := sys.Openat2(dir, name, os.O_RDONLY|syscall.O_DIRECTORY, 0, sys.ResolveNoSymlinks|sys.ResolveNoXdev)
		if err != nil {
			return nil, err
		}
		defer sub.Close()
		return n, r.entries(sub, path, n)
	case n.IsSymlink():
		n.Target, err = sys.Readlink(dir, name)
	case n.IsRegular():
		err = r.content(dir, name, path, n)
	}
	if stat.Nlink > 1 {
		r.links[file] = n
	}
	return n, err
}

// node returns a node with the metadata of name in dir.
func (r *dirReader) node(dir *os.File, name string, stat sys.Stat) (*composefs.Node, error) {
	n := &composefs.Node{
		Mode: stat.Mode, UID: stat.UID, GID: stat.GID, Nlink: stat.Nlink,
		Mtime: composefs.Time{Sec: stat.Mtime.Unix(), Nsec: uint32(stat.Mtime.Nanosecond())},
	}
	if t := n.Type(); t == composefs.TypeChar || t == composefs.TypeBlock {
		n.Rdev = uint32(stat.Rdev)
	}
	attrs, err := sys.Listxattr(dir, name)
	if err != nil {
		return nil, err
	}
	for _, attr := range attrs {
		v, err := sys.Getxattr(dir, name, attr)
		if errors.Is(err, sys.ErrNoXattr) {
			continue
		}
		if err != nil {
			return nil, err
		}
		n.SetXattr(attr, string(v))
	}
	if p := stat.Protection; p != (sys.Protection{}) {
		n.SetXattr(protectAttr, protection(p))
	}
	return n, nil
}

// content reads a regular file: all of it if it is small, else its digest.
func (r *dirReader) content(dir *os.File, name, path string, n *composefs.Node) error {
	f, err := openRegular(dir, name)
	if err != nil {
		return err
	}
	defer f.Close()
	head, err := io.ReadAll(io.LimitReader(f, inlineSize+1))
	if err != nil {
		return err
	}
	n.Size = uint64(len(head))
	if len(head) <= inlineSize {
		if len(head) > 0 {
			n.Inline = head
		}
		return nil
	}
	d, size, err := fsverity.SumReader(r.alg, io.MultiReader(bytes.NewReader(head), f))
	if err != nil {
		return err
	}
	n.Size, n.Digest = uint64(size), d
	n.SetPayload(localPayload + r.tag + ":" + strings.TrimPrefix(path, "/"))
	return nil
}
