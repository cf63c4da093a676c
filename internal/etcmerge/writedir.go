package etcmerge

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"syscall"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs"
	"github.com/sysupdate-image/sysupdate-image/internal/durable"
	"github.com/sysupdate-image/sysupdate-image/internal/sys"
)

// WriteDir makes name below root a directory with what is in tree. It is
// written under a temporary name, synced, and put in its place at one stroke:
// when WriteDir has returned nil it survives a crash, and until then name is
// what it was before, or not there. What an earlier try has left is removed.
func WriteDir(root *os.Root, name string, tree *composefs.Node, open Opener) error {
	top, err := root.Open(".")
	if err != nil {
		return err
	}
	defer top.Close()
	err = replace(durable.OS(root), name,
		func(temp string) error { return writeTree(top, temp, tree, open) },
		func(a, b string) error { return sys.Renameat2(top, a, top, b, sys.RenameExchange) })
	if err != nil {
		return fmt.Errorf("cannot write directory %s: %w", name, err)
	}
	return nil
}

// replace makes name the directory that write writes under a temporary name.
func replace(fsys durable.FS, name string, write func(temp string) error, exchange func(a, b string) error) error {
	temp := name + durable.TempSuffix
	if err := durable.RemoveAll(fsys, temp); err != nil {
		return err
	}
	if err := write(temp); err != nil {
		// Give the space back: a full file system is the likeliest reason.
		return errors.Join(err, durable.RemoveAll(fsys, temp))
	}
	// One sync for all files: that is quicker than one for each.
	if err := durable.Syncfs(fsys); err != nil {
		return err
	}
	if _, err := fsys.Lstat(name); errors.Is(err, fs.ErrNotExist) {
		return durable.Rename(fsys, temp, name)
	} else if err != nil {
		return err
	}
	if err := exchange(temp, name); err != nil {
		return err
	}
	if err := fsys.Sync(path.Dir(name)); err != nil {
		return err
	}
	return durable.RemoveAll(fsys, temp)
}

// writeTree writes tree as name below top, which does not exist.
func writeTree(top *os.File, name string, tree *composefs.Node, open Opener) error {
	w := dirWriter{compare: compare{open}, links: map[*composefs.Node]string{}}
	if err := sys.Mkdirat(top, name, 0o700); err != nil {
		return err
	}
	var err error
	if w.root, err = sys.Openat(top, name, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NOFOLLOW, 0); err != nil {
		return err
	}
	defer w.root.Close()
	return w.fill(w.root, "", tree)
}

// A dirWriter is one run of writeTree.
type dirWriter struct {
	compare
	root  *os.File
	links map[*composefs.Node]string // where a file is already
}

// fill writes into dir, which is path below the root, what is in n, and then
// its metadata: a default ACL would be inherited, and the time would change.
func (w *dirWriter) fill(dir *os.File, path string, n *composefs.Node) error {
	for _, e := range n.Entries() {
		if err := w.entry(dir, e.Name, join(path, e.Name)[1:], e.Node); err != nil {
			return err
		}
	}
	return setMetadata(dir, "", n)
}

// entry writes n as name in dir.
func (w *dirWriter) entry(dir *os.File, name, path string, n *composefs.Node) error {
	if n.IsDir() {
		return w.directory(dir, name, path, n)
	}
	if first, ok := w.links[n]; ok {
		return sys.Linkat(w.root, first, dir, name)
	}
	w.links[n] = path
	var err error
	switch n.Type() {
	case composefs.TypeRegular:
		err = w.file(dir, name, n)
	case composefs.TypeSymlink:
		err = sys.Symlinkat(n.Target, dir, name)
	default:
		err = sys.Mknodat(dir, name, n.Type(), uint64(n.Rdev))
	}
	if err != nil || n.IsWhiteout() {
		return err
	}
	return setMetadata(dir, name, n)
}

func (w *dirWriter) directory(dir *os.File, name, path string, n *composefs.Node) error {
	if err := sys.Mkdirat(dir, name, 0o700); err != nil {
		return err
	}
	sub, err := sys.Openat(dir, name, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer sub.Close()
	return w.fill(sub, "/"+path, n)
}

// file writes the content of a regular file.
func (w *dirWriter) file(dir *os.File, name string, n *composefs.Node) error {
	in, err := w.reader(n)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := sys.Openat(dir, name, os.O_WRONLY|os.O_CREATE|os.O_EXCL|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// setMetadata gives name in dir the metadata of n. The order matters: a change
// of owner clears set-user-ID bits and file capabilities, an ACL changes the
// permissions of the group.
func setMetadata(dir *os.File, name string, n *composefs.Node) error {
	if err := sys.Fchownat(dir, name, n.UID, n.GID); err != nil {
		return err
	}
	for _, x := range n.Xattrs() {
		if err := sys.Setxattr(dir, name, x.Name, []byte(x.Value)); err != nil {
			return err
		}
	}
	if !n.IsSymlink() {
		if err := sys.Fchmodat(dir, name, n.Mode&^composefs.TypeMask); err != nil {
			return err
		}
	}
	return setTime(dir, name, n.Mtime)
}

// setTime sets the modification time of name in dir, or of dir if name is "".
func setTime(dir *os.File, name string, t composefs.Time) error {
	if name == "" {
		name = "."
	}
	return sys.Utimensat(dir, name, time.Unix(t.Sec, int64(t.Nsec)))
}
