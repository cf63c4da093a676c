package merge

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/node"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/verity"
	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/cancel"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/dirstack"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
)

// inlineSize is up to what size images keep contents inline, so that comparing
// with them needs no digest.
const inlineSize = 64

// ReadDir returns the tree of a directory as it is on disk; the content of
// files stays there and can be opened by LocalOpener. Mount points below are
// not entered: mounted returns what stands for the one at a path, nil for
// nothing, and may be nil itself. What disappears while ReadDir runs is left
// out. ReadDir stops with the cause when ctx ends.
//
// Directories that are too deep, or in which a user other than root has too many
// files, are empty in the tree: see Skipped and FillSkipped.
func ReadDir(ctx context.Context, dir *os.File, alg digest.Algorithm, mounted func(path string) *tree.Node) (*tree.Node, error) {
	return readDir(ctx, dir, "", alg, mounted, true)
}

// ReadDirs is ReadDir for several directories, with an Opener for all of them. There may
// be any number of files in them.
func ReadDirs(ctx context.Context, alg digest.Algorithm, dirs ...*os.File) (trees []*tree.Node, open Opener, err error) {
	for i, dir := range dirs {
		tag := strconv.Itoa(i)
		tree, err := readDir(ctx, dir, tag, alg, nil, false)
		if err != nil {
			return nil, nil, err
		}
		trees, open = append(trees, tree), localOpener(dir, tag, open)
	}
	return trees, open, nil
}

func readDir(
	ctx context.Context, dir *os.File, tag string, alg digest.Algorithm, mounted func(path string) *tree.Node, limited bool,
) (*tree.Node, error) {
	stat, err := sys.Statx(dir, "")
	if err != nil {
		return nil, err
	}
	r := dirReader{
		ctx: ctx, alg: alg, tag: tag, mounted: mounted,
		mount: stat.MountID, links: map[inode]*tree.Node{}, dirs: dirstack.New(dir), limited: limited,
	}
	defer r.dirs.Close()
	root, err := r.node(dir, "", stat)
	if err != nil {
		return nil, err
	}
	return root, r.directory("/", root)
}

// A dirReader is one run of ReadDir.
type dirReader struct {
	ctx     context.Context
	alg     digest.Algorithm
	tag     string // of the directory, in Payload
	mounted func(path string) *tree.Node
	mount   uint64               // ID of the mount that is read
	links   map[inode]*tree.Node // files with several names
	dirs    *dirstack.Stack      // where it is
	hashed  int64                // bytes of contents, so far

	limited    bool         // in how many files are read of users other than root
	allowances []*allowance // of those users
	below      *allowance   // of who owns the directory that is read, or one above it
}

// An inode tells files apart. The device is part of it, since each subvolume
// of btrfs has numbers of its own.
type inode struct {
	major, minor uint32
	number       uint64
}

// entries reads what has the names in the innermost directory into n.
func (r *dirReader) entries(path string, n *tree.Node, names []string) error {
	others := int64(0)
	for _, name := range names {
		if err := cancel.Err(r.ctx); err != nil {
			return err
		}
		dir := r.dirs.Dir()
		if dir == nil {
			return nil // it was moved away
		}
		entry, err := r.entry(dir, name, join(path, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if entry == nil {
			continue
		}
		n.Set(name, entry)
		// Nobody but root makes files in /etc itself.
		if path != "/" && r.below == nil && r.allowanceOf(entry) != nil {
			others++
		}
		if limits.EtcFiles.Check(others) != nil {
			skip(n, limits.EtcFiles.Exceeded().Error())
			return nil
		}
	}
	return nil
}

// subdirectory reads what is in the directory name, which was opened as f with O_PATH,
// and closes f.
func (r *dirReader) subdirectory(f *os.File, name, path string, n *tree.Node) error {
	dir, err := sys.Reopen(f, os.O_RDONLY|syscall.O_DIRECTORY)
	f.Close()
	if err != nil {
		return err
	}
	read := false
	err = r.dirs.Within(dir, name, func() error {
		above := r.below
		err := r.directory(path, n)
		r.below = above
		read = err == nil
		return err
	})
	if read && errors.Is(err, fs.ErrNotExist) {
		return nil // only the way back is gone
	}
	return err
}

// entry reads name in dir and all below it. The name is looked up once: programs
// may put something else in its place at any time.
func (r *dirReader) entry(dir *os.File, name, path string) (*tree.Node, error) {
	f, err := sys.Openat(dir, name, oPath|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	stat, err := sys.Statx(f, "")
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
		addPath(n, path)
		return n, nil
	}
	n, err := r.node(f, "", stat)
	if err != nil {
		return nil, err
	}
	switch {
	case n.IsDir() && isTooDeep(path):
		skip(n, limits.EtcDepth.Exceeded().Error()+", "+limits.EtcPath.Exceeded().Error())
	case n.IsDir():
		return n, r.subdirectory(f, name, path, n)
	case n.IsSymlink():
		n.Target, err = sys.Readlink(f, "")
	case n.IsRegular():
		err = r.content(f, path, stat, n)
	}
	if stat.Nlink > 1 {
		r.links[file] = n
	}
	return n, err
}

// node returns a node with the metadata of name in dir.
func (r *dirReader) node(dir *os.File, name string, stat sys.Stat) (*tree.Node, error) {
	n, err := node.Read(dir, name, stat)
	if err != nil {
		return nil, err
	}
	if p := stat.Protection; p != (sys.Protection{}) {
		n.SetXattr(protectAttr, protection(p))
	}
	return n, nil
}

// content reads the regular file at path: all of it if it is small, else its
// digest. It does not read what is so large that it would take long: any service
// that has a directory in /etc can make a file of a tebibyte. Of such a file the
// size tells that it is not the image's, or it is read when that has as large a one.
func (r *dirReader) content(file *os.File, path string, stat sys.Stat, n *tree.Node) error {
	f, err := sys.Reopen(file, os.O_RDONLY)
	if err != nil {
		return err
	}
	defer f.Close()
	head, err := bounded.Head(f, inlineSize+1)
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
	n.SetPayload(localPayload + r.tag + ":" + fileID(stat) + ":" + strings.TrimPrefix(path, "/"))
	r.hashed += stat.Size
	if isTooLarge(stat.Size) || limits.EtcContents.Check(r.hashed) != nil {
		n.Size = uint64(stat.Size)
		return nil
	}
	// It may grow as fast as it is read.
	rest := io.LimitReader(f, max(stat.Size-int64(len(head)), 0))
	d, size, err := verity.SumReader(r.alg, cancel.Reader(r.ctx, io.MultiReader(bytes.NewReader(head), rest)))
	n.Size, n.Digest = uint64(size), d
	return err
}
