// Package durable makes changes that survive a crash. When one of its functions has
// returned nil, the change is on the device; a crash before that leaves the old or the new
// state, and nothing in between. The package hides the order in which files and directories
// must be synced for that.
package durable

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
)

// An FS is a directory to change. Its methods are single steps; what they did
// may be lost in a crash until the Sync that belongs to them. Names are
// relative, with slashes, and cannot leave the directory. The one real
// implementation is OS; durabletest wraps it to record or to stop the steps.
type FS interface {
	// Create makes a new file and opens it for writing. The umask applies. The
	// error is fs.ErrExist if the name is taken.
	Create(name string, perm fs.FileMode) (File, error)
	Mkdir(name string, perm fs.FileMode) error
	Symlink(target, name string) error
	Rename(oldName, newName string) error
	Exchange(a, b string) error // lets two names change places, at once
	Remove(name string) error   // of a file or an empty directory
	// RemoveTree removes name with everything below it, in the order of the names, also
	// files that chattr(1) +i or +a protects. It returns nil if name does not exist, and
	// an error at a mount point. Each removal is a step that goes through step. It stops
	// with the cause when ctx ends. However deep the tree is, it takes a bounded number
	// of descriptors.
	RemoveTree(ctx context.Context, name string, step Step) error

	Sync(name string) error // makes a file, or the names in a directory, survive
	Syncfs() error          // makes everything in the file system survive

	Lstat(name string) (fs.FileInfo, error)
	ReadDir(name string) ([]string, error) // the names in a directory, sorted
}

// A File is a file being written.
type File interface {
	io.WriteCloser
	Sync() error // makes the content survive
}

// OS returns the directory that root is as an FS. The caller closes root.
func OS(root *os.Root) FS { return osFS{root: root} }

// OSWith is OS for a caller that keeps the directory open as well: the kernel then
// tells Syncfs of every block that it could not write since, also in the
// background; see syncfs(2).
func OSWith(root *os.Root, dir *os.File) FS { return osFS{root, dir} }

type osFS struct {
	root *os.Root
	dir  *os.File // nil if it is not kept open
}

func (o osFS) Create(name string, perm fs.FileMode) (File, error) {
	f, err := o.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (o osFS) Mkdir(name string, perm fs.FileMode) error { return o.root.Mkdir(name, perm) }
func (o osFS) Symlink(target, name string) error         { return o.root.Symlink(target, name) }
func (o osFS) Rename(oldName, newName string) error      { return o.root.Rename(oldName, newName) }
func (o osFS) Exchange(a, b string) error {
	dir, err := o.root.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(sys.Renameat2(dir, a, dir, b, sys.RenameExchange), dir.Close())
}

func (o osFS) Remove(name string) error               { return o.root.Remove(name) }
func (o osFS) Lstat(name string) (fs.FileInfo, error) { return o.root.Lstat(name) }

func (o osFS) Sync(name string) error {
	f, err := o.root.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

func (o osFS) Syncfs() error {
	if o.dir != nil {
		return sys.Syncfs(o.dir)
	}
	dir, err := o.root.Open(".")
	if err != nil {
		return err
	}
	defer dir.Close()
	return sys.Syncfs(dir)
}

func (o osFS) ReadDir(name string) ([]string, error) { return Names(o.root, name) }

// Names returns the names in a directory, sorted. It touches nothing of what has
// them, unlike fs.ReadDir, which asks for each file's attributes: that takes time,
// and a file that FAT has only half of makes the kernel set the file system
// read-only.
func Names(root *os.Root, dir string) ([]string, error) {
	f, err := root.Open(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	names, err := f.Readdirnames(-1)
	slices.Sort(names)
	return names, err
}

// Unsynced returns fsys as an FS that syncs nothing, for changes that one Syncfs
// makes survive together: that is one wait for the disk instead of several for
// each file. Until then a crash may leave any of them, also a name without its
// content.
func Unsynced(fsys FS) FS { return unsynced{fsys} }

type unsynced struct{ FS }

func (u unsynced) Create(name string, perm fs.FileMode) (File, error) {
	f, err := u.FS.Create(name, perm)
	if err != nil {
		return nil, err
	}
	return unsyncedFile{f}, nil
}

func (unsynced) Sync(string) error { return nil }
func (unsynced) Syncfs() error     { return nil }

type unsyncedFile struct{ File }

func (unsyncedFile) Sync() error { return nil }

// TempSuffix ends the names of files that are being written. What a crash
// leaves under such a name is overwritten by the next try and may be removed.
const TempSuffix = ".tmp"

// WriteFile makes data the content of the file called name, with permissions
// 0644 less the umask. After WriteFile has returned without an error, the new
// content survives a crash; if it returns an error, the file has the old
// content or the new.
func WriteFile(fsys FS, name string, data []byte) error {
	return Write(fsys, name, 0o644, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// Write is WriteFile for content that write produces. If write returns an
// error, the file stays as it was.
func Write(fsys FS, name string, perm fs.FileMode, write func(io.Writer) error) error {
	temp := name + TempSuffix
	if err := writeTemp(fsys, temp, perm, write); err != nil {
		return fmt.Errorf("cannot write %s: %w", name, err)
	}
	if err := fsys.Rename(temp, name); err != nil {
		return fmt.Errorf("cannot write %s: %w", name, errors.Join(err, fsys.Remove(temp)))
	}
	return syncRenamed(fsys, name)
}

// syncRenamed makes a new name survive, with what has it. On FAT a directory
// entry holds size and place of a file's content, and a rename makes one that
// says neither until the file itself is synced: syncing the directory alone
// would let an empty file survive. See vfat_rename in the kernel's fs/fat.
func syncRenamed(fsys FS, name string) error {
	info, err := fsys.Lstat(name)
	if err != nil {
		return fmt.Errorf("cannot sync %s: %w", name, err)
	}
	if info.Mode().IsRegular() || info.IsDir() {
		if err := fsys.Sync(name); err != nil {
			return fmt.Errorf("cannot sync %s: %w", name, err)
		}
	}
	return syncDir(fsys, path.Dir(name))
}

func writeTemp(fsys FS, temp string, perm fs.FileMode, write func(io.Writer) error) error {
	f, err := create(fsys, temp, perm)
	if err != nil {
		return err
	}
	err = write(f)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		// Give the space back: a full file system is the likeliest reason.
		_ = fsys.Remove(temp)
		return err
	}
	return nil
}

// create removes what an earlier try has left. It does not write into it: the
// name might be a link to something else by now.
func create(fsys FS, temp string, perm fs.FileMode) (File, error) {
	f, err := fsys.Create(temp, perm)
	if !errors.Is(err, fs.ErrExist) {
		return f, err
	}
	if err := fsys.Remove(temp); err != nil {
		return nil, err
	}
	return fsys.Create(temp, perm)
}

// Symlink makes name a symbolic link to target. It atomically replaces a file or link of
// that name.
func Symlink(fsys FS, target, name string) error {
	temp := name + TempSuffix
	err := fsys.Symlink(target, temp)
	if errors.Is(err, fs.ErrExist) {
		if err = fsys.Remove(temp); err == nil {
			err = fsys.Symlink(target, temp)
		}
	}
	if err != nil {
		return fmt.Errorf("cannot link %s: %w", name, err)
	}
	return Rename(fsys, temp, name)
}

// Rename renames a file or directory, replacing what has the new name. Where
// that is in another directory, the old name may be there as well after a crash.
func Rename(fsys FS, oldName, newName string) error {
	if err := fsys.Rename(oldName, newName); err != nil {
		return fmt.Errorf("cannot rename %s: %w", oldName, err)
	}
	return syncRenamed(fsys, newName)
}

// Exchange lets two names change places. After Exchange has returned without an error, that
// survives a crash; at every moment each of them is one or the other. The kernel follows links
// in the directories that lead to them.
func Exchange(fsys FS, a, b string) error {
	if err := fsys.Exchange(a, b); err != nil {
		return err
	}
	return errors.Join(syncParent(fsys, a), syncParent(fsys, b))
}

// MkdirAll makes the directory called name and those above it, as far as they
// are missing. Those that exist already survive too when it returns nil. A link to a
// directory is one, if it does not lead out of fsys.
func MkdirAll(fsys FS, name string, perm fs.FileMode) error {
	parent := "."
	for part := range strings.SplitSeq(path.Clean(name), "/") {
		dir := path.Join(parent, part)
		if dir == "." {
			return nil
		}
		if err := mkdir(fsys, dir, perm); err != nil {
			return fmt.Errorf("cannot make directory %s: %w", dir, err)
		}
		if err := syncDir(fsys, parent); err != nil {
			return err
		}
		parent = dir
	}
	return nil
}

func mkdir(fsys FS, name string, perm fs.FileMode) error {
	err := fsys.Mkdir(name, perm)
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	info, lerr := fsys.Lstat(name)
	if lerr != nil || !info.IsDir() && info.Mode().Type() != fs.ModeSymlink {
		return err
	}
	if !info.IsDir() { // a link will do that leads to a directory below the same root
		_, err := fsys.ReadDir(name)
		return err
	}
	return nil
}

// Remove removes a file or an empty directory. It is not an error if name does not exist.
func Remove(fsys FS, name string) error {
	if err := fsys.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot remove %s: %w", name, err)
	}
	return syncParent(fsys, name)
}

// RemoveAll removes name with everything below it, also files that chattr(1) +i or +a
// protects. It is not an error if name does not exist. A crash may leave some of it.
func RemoveAll(fsys FS, name string) error {
	step := func(_ func() string, do func() error) error { return do() }
	if err := fsys.RemoveTree(context.Background(), name, step); err != nil {
		return fmt.Errorf("cannot remove %s: %w", name, err)
	}
	return syncParent(fsys, name)
}

// syncParent syncs the directory of a name that is gone, if it is there itself.
func syncParent(fsys FS, name string) error {
	dir := path.Dir(name)
	if _, err := fsys.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return syncDir(fsys, dir)
}

func syncDir(fsys FS, name string) error {
	if err := fsys.Sync(name); err != nil {
		return fmt.Errorf("cannot sync directory %s: %w", name, err)
	}
	return nil
}

// Syncfs writes everything that is in memory for the file system of fsys to
// its device, also what other programs wrote.
func Syncfs(fsys FS) error {
	if err := fsys.Syncfs(); err != nil {
		return fmt.Errorf("cannot sync file system: %w", err)
	}
	return nil
}
