package install

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
)

// ErrWritten says that another run writes the disk image.
var ErrWritten = errors.New("another install is writing to it")

// claimTries is how often claim begins again because another run was faster.
const claimTries = 8

// claim makes an empty file and locks it. What a run has left that has ended is removed; the
// file of one that has not is not touched.
func claim(name string) (*os.File, error) {
	for range claimTries {
		f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
		isNew := err == nil
		if errors.Is(err, fs.ErrExist) {
			if f, err = openLeft(name); errors.Is(err, fs.ErrNotExist) {
				continue // just removed
			}
		}
		if err != nil {
			return nil, err
		}
		locked, err := sys.TryLockFile(f)
		if err == nil && !locked {
			err = fmt.Errorf("%s: %w", name, ErrWritten)
		}
		// Another run may have replaced the file before it was locked here. If not, the lock
		// allows this one to remove it.
		if err == nil && isAt(f, name) {
			if isNew {
				return f, nil
			}
			err = os.Remove(name)
		}
		if err = errors.Join(err, f.Close()); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("%s: %w", name, ErrWritten)
}

// openLeft opens what a run has left.
func openLeft(name string) (*os.File, error) {
	info, err := os.Lstat(name)
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file, and will not be replaced", name)
	}
	if err != nil {
		return nil, err
	}
	return os.OpenFile(name, os.O_RDWR|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
}

// isAt reports whether a path leads to an open file.
func isAt(f *os.File, path string) bool {
	own, err := f.Stat()
	there, err2 := os.Lstat(path)
	return err == nil && err2 == nil && os.SameFile(own, there)
}
