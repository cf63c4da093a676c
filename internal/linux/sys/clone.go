package sys

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// ErrCannotClone says that two files cannot have blocks together: they are on
// different file systems, or on one that does not do that.
var ErrCannotClone = errors.New("cannot share blocks")

// Clone makes the content of src that of dst, a file open for writing, without
// copying it: see ioctl_ficlone(2).
func Clone(dst, src *os.File) error {
	err := withFDs(dst, src, unix.IoctlFileClone)
	for _, errno := range []unix.Errno{unix.EXDEV, unix.EOPNOTSUPP, unix.EINVAL, unix.ENOTTY} {
		if err == errno {
			return fmt.Errorf("clone %s: %w: %w", src.Name(), ErrCannotClone, err)
		}
	}
	if err != nil {
		return fmt.Errorf("clone %s: %w", src.Name(), err)
	}
	return nil
}
