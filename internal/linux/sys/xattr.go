package sys

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// The functions of this file work on name in dir, never on what a symbolic
// link points to. A name is one component, since the kernel would follow links
// on the way. With an empty name they work on dir itself, which may be any open
// file, also one opened with O_PATH. /proc must be mounted.

// pathOf calls f with a path at which the kernel finds name in dir.
func pathOf(dir *os.File, name string, f func(path string) error) error {
	if dir == nil {
		return f(name)
	}
	if strings.Contains(name, "/") || name == ".." {
		return fmt.Errorf("%s: %w", nameOf(dir, name), unix.EINVAL)
	}
	return withFD(dir, func(fd int) error {
		if name == "" {
			return f(procPath(fd))
		}
		return f(procPath(fd) + "/" + name)
	})
}

// Listxattr returns the names of the extended attributes, in no order. A file
// system that has no such thing has none.
func Listxattr(dir *os.File, name string) ([]string, error) {
	list := unix.Llistxattr
	if name == "" && dir != nil {
		list = unix.Listxattr // the path is the magic link to the file
	}
	var data []byte
	err := pathOf(dir, name, func(path string) (err error) {
		data, err = grow(func(buf []byte) (int, error) { return list(path, buf) })
		return err
	})
	if errors.Is(err, unix.ENOTSUP) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("listxattr %s: %w", nameOf(dir, name), err)
	}
	return strings.FieldsFunc(string(data), func(r rune) bool { return r == 0 }), nil
}

// Getxattr returns the value of an extended attribute.
func Getxattr(dir *os.File, name, attr string) ([]byte, error) {
	get := unix.Lgetxattr
	if name == "" && dir != nil {
		get = unix.Getxattr
	}
	var data []byte
	err := pathOf(dir, name, func(path string) (err error) {
		data, err = grow(func(buf []byte) (int, error) { return get(path, attr, buf) })
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("getxattr %s of %s: %w", attr, nameOf(dir, name), err)
	}
	return data, nil
}

// Setxattr sets an extended attribute, whether or not there is one.
func Setxattr(dir *os.File, name, attr string, value []byte) error {
	set := unix.Lsetxattr
	if name == "" && dir != nil {
		set = unix.Setxattr
	}
	err := pathOf(dir, name, func(path string) error { return set(path, attr, value, 0) })
	if err != nil {
		return fmt.Errorf("setxattr %s of %s: %w", attr, nameOf(dir, name), err)
	}
	return nil
}

// Removexattr removes an extended attribute.
func Removexattr(dir *os.File, name, attr string) error {
	remove := unix.Lremovexattr
	if name == "" && dir != nil {
		remove = unix.Removexattr
	}
	err := pathOf(dir, name, func(path string) error { return remove(path, attr) })
	if err != nil {
		return fmt.Errorf("removexattr %s of %s: %w", attr, nameOf(dir, name), err)
	}
	return nil
}

// ErrNoXattr says that a file does not have the extended attribute.
var ErrNoXattr error = unix.ENODATA

// grow calls f, which returns how much it has filled of its argument and how
// much it would need of an empty one, with as much room as it needs. What it
// measures may change between two calls.
func grow(f func([]byte) (int, error)) ([]byte, error) {
	for size := 256; ; {
		buf := make([]byte, size)
		n, err := f(buf)
		if err == nil {
			return buf[:n], nil
		}
		if err != unix.ERANGE {
			return nil, err
		}
		if n, err = f(nil); err != nil {
			return nil, err
		}
		size = max(n, size+256)
	}
}
