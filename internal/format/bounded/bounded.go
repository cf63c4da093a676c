// Package bounded reads files on a disk or in an image, where a name may turn out to be a
// FIFO without a writer, a device, or a sparse file of a tebibyte. It hides how these are
// recognized before a file is opened and while it is read. test/house enforces that no
// other package reads whole files.
package bounded

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"syscall"

	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
)

// ReadFile returns the content of the regular file called name in fsys. An error
// names the file, and the limit if it has more than most.
func ReadFile(fsys fs.FS, name string, most limits.Limit) ([]byte, error) {
	info, err := fs.Stat(fsys, name)
	if err == nil {
		err = check(name, info, most)
	}
	if err != nil {
		return nil, err
	}
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	return read(f, name, most)
}

// Sub returns the directory dir of fsys, for ReadFile. fs.Sub would
// open a file to learn its type, and wait for a FIFO.
func Sub(fsys fs.FS, dir string) fs.FS { return sub{fsys, dir} }

type sub struct {
	fsys fs.FS
	dir  string
}

func (s sub) Open(name string) (fs.File, error)     { return s.fsys.Open(path.Join(s.dir, name)) }
func (s sub) Stat(name string) (fs.FileInfo, error) { return fs.Stat(s.fsys, path.Join(s.dir, name)) }

// ReadRoot is ReadFile for a file below a directory, links to elsewhere refused.
// It does not wait either if something else takes the file's place meanwhile.
func ReadRoot(root *os.Root, name string, most limits.Limit) ([]byte, error) {
	info, err := root.Lstat(name)
	if err == nil && info.Mode().Type() != fs.ModeSymlink {
		err = check(name, info, most)
	}
	if err != nil {
		return nil, err
	}
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	return read(f, name, most)
}

// ReadPath is ReadFile for a path, such as one that a user gave.
func ReadPath(path string, most limits.Limit) ([]byte, error) {
	info, err := os.Stat(path)
	if err == nil {
		err = check(path, info, most)
	}
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	return read(f, path, most)
}

// CheckPath returns an error unless path is that of a regular file that is small
// enough. It is for files that other code then reads without a limit.
func CheckPath(path string, most limits.Limit) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	return check(path, info, most)
}

// ReadAll returns what r has, with the error of most if that is more.
func ReadAll(r io.Reader, most limits.Limit) ([]byte, error) { return io.ReadAll(most.Reader(r)) }

// Head returns the first n bytes of what r has, or all of it.
func Head(r io.Reader, n int64) ([]byte, error) { return io.ReadAll(io.LimitReader(r, n)) }

// Found reports whether a file exists, by the error of a call that asked for it. A name
// is absent if nothing has it, or if something above it is not a directory. Any other
// error, such as EACCES, EIO or ELOOP, says nothing about that and is returned: not being
// allowed to look is not absence.
func Found(err error) (bool, error) {
	if err == nil {
		return true, nil
	}
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.ENAMETOOLONG) {
		return false, nil
	}
	return false, err
}

// ErrNotRegular reports that a name is not that of a regular file.
var ErrNotRegular = errors.New("not a regular file")

// read is ReadOpen, and closes the file.
func read(f fs.File, name string, most limits.Limit) ([]byte, error) {
	defer f.Close()
	return ReadOpen(f, name, most)
}

// ReadOpen is ReadFile for a file that is open, from where it stands. It should
// have been opened with O_NONBLOCK.
func ReadOpen(f fs.File, name string, most limits.Limit) ([]byte, error) {
	info, err := f.Stat()
	if err == nil {
		err = check(name, info, most)
	}
	if err != nil {
		return nil, err
	}
	// The kernel's own files say that they are empty, so the size is a hint.
	data, err := ReadAll(f, most)
	if _, ok := err.(*limits.Error); ok { // errors.As would cost small programs 5 KB
		err = &fs.PathError{Op: "read", Path: name, Err: err}
	}
	return data, err
}

// check returns an error unless info is that of a regular file that is small
// enough.
func check(name string, info fs.FileInfo, most limits.Limit) error {
	var err error
	switch {
	case info.IsDir():
		err = fmt.Errorf("%w: %w", ErrNotRegular, syscall.EISDIR)
	case !info.Mode().IsRegular():
		err = fmt.Errorf("%w (%s)", ErrNotRegular, info.Mode().Type())
	default:
		err = most.Check(info.Size())
	}
	if err != nil {
		return &fs.PathError{Op: "read", Path: name, Err: err}
	}
	return nil
}
