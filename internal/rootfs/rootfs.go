// Package rootfs reads a directory as the root of a system that is not the
// running one: names are resolved as after chroot(2), so that the absolute
// symbolic links of which images are full lead to the image's own files, and
// nothing leads out. It hides openat2(2).
package rootfs

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"

	"github.com/sysupdate-image/sysupdate-image/internal/sys"
)

// oPath is O_PATH of open(2): just the place, without touching what is there.
const oPath = 0o10000000

// resolve is how all names are looked up.
const resolve = sys.ResolveInRoot | sys.ResolveNoMagicLinks

// A Root is an open directory that is taken for the root of a file system.
// Names may begin with a slash or not.
type Root struct{ dir *os.File }

// Open opens the directory at path.
func Open(path string) (*Root, error) {
	dir, err := os.OpenFile(path, oPath|syscall.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	return &Root{dir}, nil
}

// FromFile returns a Root for an open directory. Close closes it.
func FromFile(dir *os.File) *Root { return &Root{dir} }

// Close closes the directory.
func (r *Root) Close() error { return r.dir.Close() }

// File returns the directory itself, for mounts. It may have been opened for
// nothing but its place.
func (r *Root) File() *os.File { return r.dir }

// OpenRoot opens a directory below as a Root of its own.
func (r *Root) OpenRoot(name string) (*Root, error) {
	dir, err := r.open(name, oPath|syscall.O_DIRECTORY)
	if err != nil {
		return nil, err
	}
	return &Root{dir}, nil
}

// OpenPath opens just the place of name, without touching what is there. It
// follows symbolic links.
func (r *Root) OpenPath(name string) (*os.File, error) { return r.open(name, oPath) }

// open returns errors that look like those of package os.
func (r *Root) open(name string, flags int) (*os.File, error) {
	relative := path.Clean("/" + name)[1:]
	if relative == "" {
		relative = "."
	}
	f, err := sys.Openat2(r.dir, relative, flags, 0, resolve)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: unwrap(err)}
	}
	return f, nil
}

// unwrap returns the error number of err, if it has one.
func unwrap(err error) error {
	for e := err; e != nil; {
		if errno, ok := e.(syscall.Errno); ok {
			return errno
		}
		u, ok := e.(interface{ Unwrap() error })
		if !ok {
			break
		}
		e = u.Unwrap()
	}
	return err
}

// Open opens a regular file or a directory to read. It refuses anything else:
// opening a device may do something, opening a FIFO may wait for ever.
func (r *Root) Open(name string) (*os.File, error) {
	place, err := r.OpenPath(name)
	if err != nil {
		return nil, err
	}
	defer place.Close()
	info, err := place.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() && !info.IsDir() {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fmt.Errorf("neither a file nor a directory: %v", info.Mode().Type())}
	}
	f, err := sys.Reopen(place, os.O_RDONLY)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: unwrap(err)}
	}
	return f, nil
}

// ReadDir returns what is in a directory, sorted by name.
func (r *Root) ReadDir(name string) ([]fs.DirEntry, error) {
	f, err := r.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	entries, err := r.entries(f, name, -1)
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries, err
}

// Stat returns what is known of name. It follows symbolic links.
func (r *Root) Stat(name string) (fs.FileInfo, error) { return r.stat(name, oPath) }

// Lstat returns what is known of name, of a symbolic link itself.
func (r *Root) Lstat(name string) (fs.FileInfo, error) {
	return r.stat(name, oPath|syscall.O_NOFOLLOW)
}

func (r *Root) stat(name string, flags int) (fs.FileInfo, error) {
	f, err := r.open(name, flags)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	return named{info, path.Base(path.Clean("/" + name))}, nil
}

// A named FileInfo has the name that was asked for; f.Name() is a whole path.
type named struct {
	fs.FileInfo
	name string
}

func (n named) Name() string {
	if n.name == "/" {
		return "."
	}
	return n.name
}

// Readlink returns the target of a symbolic link.
func (r *Root) Readlink(name string) (string, error) {
	f, err := r.open(name, oPath|syscall.O_NOFOLLOW)
	if err != nil {
		return "", err
	}
	defer f.Close()
	target, err := sys.Readlink(f, "")
	if err == nil {
		return target, nil
	}
	err = unwrap(err)
	if err == syscall.ENOENT { // the kernel's word for "not a link" here
		err = syscall.EINVAL
	}
	return "", &fs.PathError{Op: "readlink", Path: name, Err: err}
}
