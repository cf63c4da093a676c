package merge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/format/cancel"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/dirstack"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
)

// WriteDir makes name below root a directory with the files of tree. It is written under a
// temporary name, synced, and renamed: once WriteDir returns nil, it survives a crash;
// until then, name is what it was before, or missing. Leftovers of an earlier try are
// removed.
// When ctx ends, WriteDir stops with the cause, unless all is written.
func WriteDir(ctx context.Context, root *os.Root, name string, tree *tree.Node, open Opener) error {
	return writeDir(root, name, tree, dirWriter{compare: compare{ctx, open}})
}

// writeDir is WriteDir with a new dirWriter.
func writeDir(root *os.Root, name string, tree *tree.Node, w dirWriter) error {
	top, err := root.Open(".")
	if err != nil {
		return err
	}
	defer top.Close()
	err = replace(durable.OS(root), name,
		func(temp string) error { return w.writeTree(top, temp, tree) },
		func(a, b string) error { return sys.Renameat2(top, a, top, b, sys.RenameExchange) })
	if err != nil {
		return fmt.Errorf("cannot write directory %s: %w", name, err)
	}
	return nil
}

// replace makes name the directory that write writes under a temporary name.
func replace(fsys durable.FS, name string, write func(temp string) error, exchange func(a, b string) error) error {
	temp := name + durable.TempSuffix
	if _, err := fsys.Lstat(temp); !errors.Is(err, fs.ErrNotExist) {
		if err := durable.RemoveAll(fsys, temp); err != nil {
			return err
		}
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
func (w dirWriter) writeTree(top *os.File, name string, node *tree.Node) error {
	w.links = map[*tree.Node]string{}
	if err := sys.Mkdirat(top, name, 0o700); err != nil {
		return err
	}
	var err error
	if w.root, err = sys.Openat(top, name, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NOFOLLOW, 0); err != nil {
		return err
	}
	defer w.root.Close()
	w.dirs = dirstack.New(w.root)
	defer w.dirs.Close()
	if err := w.fill("", node); err != nil || w.lower != nil {
		return err
	}
	return w.protect()
}

// WriteNode writes n, and what is in it if it is a directory, as name in dir,
// where nothing of that name is. Nothing is synced.
func WriteNode(ctx context.Context, dir *os.File, name string, n *tree.Node, open Opener) error {
	w := dirWriter{compare: compare{ctx, open}, root: dir, dirs: dirstack.New(dir), links: map[*tree.Node]string{}}
	defer w.dirs.Close()
	if err := w.entry(dir, name, name, n); err != nil {
		return err
	}
	return w.protect()
}

// SetMetadata gives name in dir, which has the metadata of local, that of n.
// Attributes that were not read from there are left alone.
func SetMetadata(dir *os.File, name string, local, n *tree.Node) error {
	for _, x := range local.Xattrs() {
		if _, ok := n.Xattr(x.Name); ok {
			continue
		}
		if err := sys.Removexattr(dir, name, x.Name); err != nil && !errors.Is(err, sys.ErrNoXattr) {
			return err
		}
	}
	return setMetadata(dir, name, n)
}

// A dirWriter is one run of writeTree.
type dirWriter struct {
	compare
	root  *os.File
	dirs  *dirstack.Stack       // where it is, below root
	lower *tree.Node            // the tree is for an upper directory over it
	links map[*tree.Node]string // where a file is already

	copied    int64 // bytes of local files
	protected []protected
}

// A protected is a file that chattr(1) has protected, by its path below the root
// of a tree, and the value of protectAttr.
type protected struct{ path, value string }

// protect protects files, once all is written.
func (w *dirWriter) protect() error {
	for _, p := range w.protected {
		f, err := sys.Openat2(w.root, p.path, os.O_RDONLY|syscall.O_NONBLOCK, 0, sys.ResolveBeneath|sys.ResolveNoSymlinks)
		if err != nil {
			return err
		}
		err = sys.SetProtection(f, sys.Protection{Immutable: strings.Contains(p.value, "i"), Append: strings.Contains(p.value, "a")})
		if err = errors.Join(err, f.Close()); err != nil {
			return err
		}
	}
	return nil
}

// metadata gives name in dir, which is at path, the metadata of n. The top
// directory is not protected: it has to get its name yet. In an upper directory
// overlayfs protects files, by an attribute.
func (w *dirWriter) metadata(dir *os.File, name, path string, n *tree.Node) error {
	if value, ok := n.Xattr(protectAttr); ok && w.lower == nil {
		n = n.Clone()
		n.KeepXattrs(func(name string) bool { return name != protectAttr })
		if path != "" {
			w.protected = append(w.protected, protected{path, value})
		}
	}
	return setMetadata(dir, name, n)
}

// fill writes into the innermost directory, which is path below the root, what is in
// n, and then its metadata: a default ACL would be inherited, and the time would change.
func (w *dirWriter) fill(path string, n *tree.Node) error {
	for _, e := range n.Entries() {
		if err := cancel.Err(w.ctx); err != nil {
			return err
		}
		if err := w.entry(w.dirs.Dir(), e.Name, join(path, e.Name)[1:], e.Node); err != nil {
			return err
		}
	}
	return w.metadata(w.dirs.Dir(), "", strings.TrimPrefix(path, "/"), n)
}

// entry writes n as name in dir.
func (w *dirWriter) entry(dir *os.File, name, path string, n *tree.Node) error {
	switch n.Type() {
	case 0:
		return fmt.Errorf("%s: %w", path, errNotRead)
	case tree.TypeDir:
		return w.directory(dir, name, path, n)
	}
	if first, ok := w.links[n]; ok {
		return sys.Linkat(w.root, first, dir, name)
	}
	w.links[n] = path
	var err error
	switch n.Type() {
	case tree.TypeRegular:
		n, err = w.file(dir, name, n)
		if errors.Is(err, ErrGone) {
			delete(w.links, n)
			return w.instead(dir, name, path, err)
		}
	case tree.TypeSymlink:
		err = sys.Symlinkat(n.Target, dir, name)
	default:
		err = sys.Mknodat(dir, name, n.Type(), uint64(n.Rdev))
	}
	if err != nil || n == nil || n.IsWhiteout() {
		return err
	}
	return w.metadata(dir, name, path, n)
}

func (w *dirWriter) directory(dir *os.File, name, path string, n *tree.Node) error {
	if err := sys.Mkdirat(dir, name, 0o700); err != nil {
		return err
	}
	sub, err := sys.Openat(dir, name, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	return w.dirs.Within(sub, name, func() error { return w.fill("/"+path, n) })
}

// instead writes what is there now in place of a file that has disappeared while
// it was merged. The like of it is a local change that removes the file.
func (w *dirWriter) instead(dir *os.File, name, path string, err error) error {
	gone, ok := errors.AsType[*goneError](err)
	switch {
	case ok && gone.now != nil:
		return w.entry(dir, name, path, w.asWritten(gone.now))
	case w.lower != nil && w.lower.Lookup(path) != nil:
		return w.entry(dir, name, path, whiteout())
	}
	return nil
}

// asWritten returns how n is kept in the directory that is written.
func (w *dirWriter) asWritten(n *tree.Node) *tree.Node {
	if w.lower != nil {
		return escaped(n)
	}
	return n
}

// file writes the content of the regular file n, and returns n or, if the file
// was replaced since it was read, a node with the new metadata. It is nil for a
// file that was linked, and has its metadata.
func (w *dirWriter) file(dir *os.File, name string, n *tree.Node) (*tree.Node, error) {
	in, err := w.reader(n)
	if err != nil {
		return n, err
	}
	defer in.Close()
	local, isLocal := in.(localFile)
	if isLocal {
		if link, err := w.mustLink(local); err != nil {
			return n, err
		} else if link && sys.LinkFile(local.file, dir, name) == nil {
			return nil, nil
		}
	}
	out, err := sys.Openat(dir, name, os.O_WRONLY|os.O_CREATE|os.O_EXCL|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return n, err
	}
	if !isLocal {
		_, err = io.Copy(out, cancel.Reader(w.ctx, in))
		return n, errors.Join(err, out.Close())
	}
	if local.now != nil {
		now := w.asWritten(local.now)
		now.SetLabel(n.Label())
		n = now
	}
	return n, errors.Join(copyLocal(w.ctx, out, local.file), out.Close())
}

// setMetadata gives name in dir the metadata of n. The order matters: a change
// of owner clears set-user-ID bits and file capabilities, an ACL changes the
// permissions of the group.
func setMetadata(dir *os.File, name string, n *tree.Node) error {
	if err := sys.Fchownat(dir, name, n.UID, n.GID); err != nil {
		return err
	}
	for _, x := range n.Xattrs() {
		if err := sys.Setxattr(dir, name, x.Name, []byte(x.Value)); err != nil {
			return err
		}
	}
	if !n.IsSymlink() {
		if err := sys.Fchmodat(dir, name, n.Mode&^tree.TypeMask); err != nil {
			return err
		}
	}
	return setTime(dir, name, n.Mtime)
}

// setTime sets the modification time of name in dir, or of dir if name is "".
func setTime(dir *os.File, name string, t tree.Time) error {
	if name == "" {
		name = "."
	}
	return sys.Utimensat(dir, name, time.Unix(t.Sec, int64(t.Nsec)))
}
