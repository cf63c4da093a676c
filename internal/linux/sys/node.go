package sys

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Mkdirat makes a directory called name in dir. The umask applies.
func Mkdirat(dir *os.File, name string, perm uint32) error {
	err := withFD(dir, func(dirfd int) error { return unix.Mkdirat(dirfd, name, perm) })
	if err != nil {
		return fmt.Errorf("mkdirat %s: %w", nameOf(dir, name), err)
	}
	return nil
}

// Symlinkat makes a symbolic link called name in dir.
func Symlinkat(target string, dir *os.File, name string) error {
	err := withFD(dir, func(dirfd int) error { return unix.Symlinkat(target, dirfd, name) })
	if err != nil {
		return fmt.Errorf("symlinkat %s: %w", nameOf(dir, name), err)
	}
	return nil
}

// Linkat gives the file that is called oldName in oldDir another name. A
// symbolic link is linked itself.
func Linkat(oldDir *os.File, oldName string, newDir *os.File, newName string) error {
	err := withFDs(oldDir, newDir, func(oldfd, newfd int) error {
		return unix.Linkat(oldfd, oldName, newfd, newName, 0)
	})
	if err != nil {
		return fmt.Errorf("linkat %s to %s: %w", nameOf(oldDir, oldName), nameOf(newDir, newName), err)
	}
	return nil
}

// Unlinkat removes the name of a file that is not a directory.
func Unlinkat(dir *os.File, name string) error {
	err := withFD(dir, func(dirfd int) error {
		return retry(func() error { return unix.Unlinkat(dirfd, name, 0) })
	})
	if err != nil {
		return fmt.Errorf("unlinkat %s: %w", nameOf(dir, name), err)
	}
	return nil
}

// Rmdirat removes the empty directory called name in dir.
func Rmdirat(dir *os.File, name string) error {
	err := withFD(dir, func(dirfd int) error {
		return retry(func() error { return unix.Unlinkat(dirfd, name, unix.AT_REMOVEDIR) })
	})
	if err != nil {
		return fmt.Errorf("unlinkat %s: %w", nameOf(dir, name), err)
	}
	return nil
}
