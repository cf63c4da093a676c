// Package scan reads a directory on disk into a tree, unchanged: every kind of file, all
// extended attributes, times to the nanosecond, and hard links. It hides how to do so
// without following a link or waiting for a FIFO, and that contents are hashed on all
// processors at the same time.
package scan

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sync/errgroup"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/node"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/repo"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/format/bug"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/dirstack"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
)

// Options say how to scan.
type Options struct {
	Algorithm digest.Algorithm // of the digests of contents

	// Repository, if not nil, is given a copy of every content that an image
	// does not hold itself. Its algorithm is then the one that counts.
	Repository *repo.Repository

	// Mounted, if not nil, is called with the path, below the directory, of each
	// mount point: the files mounted there are read as part of the tree, but will be
	// missing wherever the directory is read without the mount.
	Mounted func(path string)

	// Shallow leaves out the digests of contents, for which all of them would be read, and
	// extended attributes. The tree then makes no image.
	Shallow bool

	// NoMounts leaves out what is mounted below the directory: a directory there is empty,
	// and any other file is missing.
	NoMounts bool
}

// A Tree is a directory that was scanned. It is of use as long as the directory
// is open and nobody changes what is in it.
type Tree struct {
	Root  *tree.Node
	dir   *os.File
	paths map[*tree.Node]string // of the files whose content stays on disk
}

// Scan reads a directory with everything below it, also what is mounted there.
// It is an error if a file changes meanwhile, or if the kernel's own file
// systems, proc and sysfs, are mounted there: they are no part of an image.
func Scan(ctx context.Context, dir *os.File, opts Options) (*Tree, error) {
	if opts.Repository != nil {
		opts.Algorithm = opts.Repository.Algorithm()
	}
	s := scanner{
		opts:  opts,
		tree:  &Tree{dir: dir, paths: make(map[*tree.Node]string)},
		links: make(map[inode]*tree.Node),
	}
	if err := s.scan(ctx, dir); err != nil {
		return nil, fmt.Errorf("cannot scan %s: %w", dir.Name(), err)
	}
	return s.tree, nil
}

// Open opens the content of a regular file of the tree.
func (t *Tree) Open(n *tree.Node) (io.ReadCloser, error) {
	path, ok := t.paths[n]
	if !ok {
		return io.NopCloser(strings.NewReader(string(n.Inline))), nil
	}
	return openRegular(t.dir, path)
}

type scanner struct {
	opts  Options
	tree  *Tree
	links map[inode]*tree.Node // files with several names
	dirs  *dirstack.Stack      // where the scan is
}

// An inode tells files apart.
type inode struct {
	major, minor uint32
	number       uint64
}

// filesAhead is how many files may wait, open, to be hashed.
const filesAhead = 64

func (s *scanner) scan(ctx context.Context, dir *os.File) error {
	stat, err := sys.Statx(dir, "")
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	jobs := make(chan job, filesAhead)
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() error { return bug.Catch(func() error { return s.work(ctx, jobs) }) })
	}
	group.Go(func() error {
		defer close(jobs)
		root, err := s.node(dir, "", stat)
		if err != nil {
			return err
		}
		s.tree.Root = root
		s.dirs = dirstack.New(dir)
		defer s.dirs.Close()
		return bug.Catch(func() error { return s.entries(ctx, jobs, directory{"", root, stat}) })
	})
	err = group.Wait()
	for j := range jobs { // left over after an error
		j.file.Close()
	}
	return err
}

// A directory is what is known of the innermost directory of the stack.
type directory struct {
	path string // below the one that is scanned, "" or with a slash at the end
	node *tree.Node
	stat sys.Stat
}

// entries reads what is in a directory into its node.
func (s *scanner) entries(ctx context.Context, jobs chan<- job, d directory) error {
	names, err := dirstack.Names(ctx, s.dirs.Dir())
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := s.entry(ctx, jobs, d, name)
		if err != nil {
			return err
		}
		if n != nil {
			d.node.Set(name, n)
		}
	}
	return nil
}

// entry reads name in d, and all below it. It returns nil for what is to be left out.
func (s *scanner) entry(ctx context.Context, jobs chan<- job, d directory, name string) (*tree.Node, error) {
	if len(d.path)+len(name) > tree.MaxPath {
		return nil, fmt.Errorf("path of more than %d bytes, which no image can have: %.100s…", tree.MaxPath, d.path)
	}
	dir := s.dirs.Dir()
	stat, err := sys.Statx(dir, name)
	if err != nil {
		return nil, err
	}
	if stat.MountRoot && s.opts.NoMounts {
		return mountPoint(stat), nil
	}
	if stat.MountRoot && s.opts.Mounted != nil {
		s.opts.Mounted(d.path + name)
	}
	file := inode{stat.DevMajor, stat.DevMinor, stat.Inode}
	if n := s.links[file]; n != nil {
		return n, nil
	}
	n, err := s.node(dir, name, stat)
	if err != nil {
		return nil, err
	}
	switch {
	case n.IsDir():
		return n, s.subdirectory(ctx, jobs, d, name, n, stat)
	case n.IsSymlink():
		n.Target, err = sys.Readlink(dir, name)
	case n.IsRegular():
		err = s.content(ctx, jobs, d, name, n, stat)
	}
	if stat.Nlink > 1 {
		s.links[file] = n
	}
	return n, err
}

// node returns what is known of a file besides its content.
func (s *scanner) node(dir *os.File, name string, stat sys.Stat) (*tree.Node, error) {
	if s.opts.Shallow {
		return node.Of(stat), nil
	}
	return node.Read(dir, name, stat)
}

// mountPoint returns what stands for something mounted: an empty directory as image builders
// make it, since the one below cannot be seen, or nil.
func mountPoint(stat sys.Stat) *tree.Node {
	if stat.Mode&tree.TypeMask != tree.TypeDir {
		return nil
	}
	return &tree.Node{Mode: tree.TypeDir | 0o755, Nlink: 2}
}

func (s *scanner) subdirectory(ctx context.Context, jobs chan<- job, parent directory, name string, n *tree.Node, stat sys.Stat) error {
	f, err := sys.Openat2(s.dirs.Dir(), name, os.O_RDONLY|syscall.O_DIRECTORY, 0, sys.ResolveNoSymlinks)
	if err != nil {
		return err
	}
	return s.dirs.Within(f, name, func() error {
		if stat.DevMajor != parent.stat.DevMajor || stat.DevMinor != parent.stat.DevMinor {
			if err := refuseVirtual(f); err != nil {
				return err
			}
		}
		return s.entries(ctx, jobs, directory{parent.path + name + "/", n, stat})
	})
}

// The kernel's own file systems, by their magic numbers in <linux/magic.h>.
var virtual = map[int64]string{0x9fa0: "proc", 0x62656572: "sysfs"}

func refuseVirtual(dir *os.File) error {
	fsys, err := sys.Statfs(dir)
	if err != nil {
		return err
	}
	if name := virtual[fsys.Type]; name != "" {
		return fmt.Errorf("%s is mounted at %s: unmount it, or scan a copy of the mount without those below it (mount --bind)", name, dir.Name())
	}
	return nil
}
