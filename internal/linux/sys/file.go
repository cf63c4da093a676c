package sys

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// The functions on files take open directories, and names below them. A nil
// directory stands for the current one.

// Flags for Renameat2, see rename(2).
const (
	RenameNoReplace = unix.RENAME_NOREPLACE // fail if the new name exists
	RenameExchange  = unix.RENAME_EXCHANGE  // let the two names change places
)

// withFD calls f with the file's descriptor, which stays open meanwhile.
func withFD(file *os.File, f func(fd int) error) error {
	if file == nil {
		return f(unix.AT_FDCWD)
	}
	conn, err := file.SyscallConn()
	if err != nil {
		return err
	}
	var result error
	if err := conn.Control(func(fd uintptr) { result = f(int(fd)) }); err != nil {
		return err
	}
	return result
}

// withFDs is withFD for two files.
func withFDs(a, b *os.File, f func(a, b int) error) error {
	return withFD(a, func(afd int) error {
		return withFD(b, func(bfd int) error { return f(afd, bfd) })
	})
}

// retry calls f until a signal does not interrupt it.
func retry(f func() error) error {
	for {
		if err := f(); err != unix.EINTR {
			return err
		}
	}
}

// procPath returns the name under which the kernel resolves an open file.
func procPath(fd int) string {
	return "/proc/self/fd/" + strconv.Itoa(fd)
}

// maxName is where nameOf leaves out the directories so far: in a tree without a limit to
// its depth, names would take most of the time. The result begins with elided.
const (
	maxName = 4096
	elided  = "…"
)

// nameOf returns what an error calls the object.
func nameOf(dir *os.File, name string) string {
	switch {
	case dir == nil:
		return name
	case name == "":
		return dir.Name()
	case len(dir.Name()) > maxName:
		return elided + "/" + name
	}
	return dir.Name() + "/" + name
}

// parentOf returns what an error calls the directory that a directory is in.
func parentOf(dir string) string {
	if i := strings.LastIndexByte(dir, '/'); i > 0 {
		return dir[:i]
	}
	if dir == elided {
		return elided
	}
	return filepath.Dir(dir)
}

// Tmpfile creates a file without a name in the file system of the directory name
// in dir, open for writing, with O_TMPFILE. It vanishes when it is closed without
// LinkFile. The process's umask applies to perm.
func Tmpfile(dir *os.File, name string, perm uint32) (*os.File, error) {
	return openat(dir, name, unix.O_TMPFILE|unix.O_WRONLY, perm)
}

// Openat opens name in dir with the flags of open(2); O_CLOEXEC is implied.
func Openat(dir *os.File, name string, flags int, perm uint32) (*os.File, error) {
	return openat(dir, name, flags, perm)
}

func openat(dir *os.File, name string, flags int, perm uint32) (*os.File, error) {
	var file *os.File
	err := withFD(dir, func(dirfd int) error {
		return retry(func() error {
			fd, err := unix.Openat(dirfd, name, flags|unix.O_CLOEXEC, perm)
			if err == nil {
				file = os.NewFile(uintptr(fd), nameOf(dir, name))
			}
			return err
		})
	})
	if err != nil {
		return nil, fmt.Errorf("openat %s: %w", nameOf(dir, name), err)
	}
	return file, nil
}

// OpenParent opens the directory that the directory dir is in.
func OpenParent(dir *os.File) (*os.File, error) {
	var file *os.File
	err := withFD(dir, func(dirfd int) error {
		return retry(func() error {
			fd, err := unix.Openat(dirfd, "..", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
			if err == nil {
				file = os.NewFile(uintptr(fd), parentOf(dir.Name()))
			}
			return err
		})
	})
	if err != nil {
		return nil, fmt.Errorf("openat %s: %w", nameOf(dir, ".."), err)
	}
	return file, nil
}

// Reopen opens the file that f is once more, through /proc/self/fd, with the
// flags of open(2); f may have been opened with O_PATH.
func Reopen(f *os.File, flags int) (*os.File, error) {
	var file *os.File
	err := withFD(f, func(fd int) error {
		return retry(func() error {
			again, err := unix.Open(procPath(fd), flags|unix.O_CLOEXEC, 0)
			if err == nil {
				file = os.NewFile(uintptr(again), f.Name())
			}
			return err
		})
	})
	if err != nil {
		return nil, fmt.Errorf("open %s again: %w", f.Name(), err)
	}
	return file, nil
}

// LinkFile gives the open file f, which may have none, a name in dir. It does
// not replace what has that name: the error is then fs.ErrExist.
func LinkFile(f, dir *os.File, name string) error {
	err := withFDs(f, dir, func(fd, dirfd int) error {
		return unix.Linkat(unix.AT_FDCWD, procPath(fd), dirfd, name, unix.AT_SYMLINK_FOLLOW)
	})
	if err != nil {
		return fmt.Errorf("linkat %s: %w", nameOf(dir, name), err)
	}
	return nil
}

// Renameat2 renames a file, with the flags above or 0.
func Renameat2(oldDir *os.File, oldName string, newDir *os.File, newName string, flags uint) error {
	err := withFDs(oldDir, newDir, func(oldfd, newfd int) error {
		return retry(func() error { return unix.Renameat2(oldfd, oldName, newfd, newName, flags) })
	})
	if err != nil {
		return fmt.Errorf("renameat2 %s to %s: %w", nameOf(oldDir, oldName), nameOf(newDir, newName), err)
	}
	return nil
}

// Syncfs writes everything that the file system of f has in memory to its
// device. It also reports what could not be written since f was opened.
func Syncfs(f *os.File) error {
	if err := withFD(f, func(fd int) error { return retry(func() error { return unix.Syncfs(fd) }) }); err != nil {
		return fmt.Errorf("syncfs %s: %w", f.Name(), err)
	}
	return nil
}

// Readlink returns the target of the symbolic link called name in dir. With an
// empty name it is dir itself, a link opened with O_PATH and O_NOFOLLOW.
func Readlink(dir *os.File, name string) (string, error) {
	buf := make([]byte, unix.PathMax)
	n := 0
	err := withFD(dir, func(dirfd int) (err error) {
		n, err = unix.Readlinkat(dirfd, name, buf)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("readlinkat %s: %w", nameOf(dir, name), err)
	}
	return string(buf[:n]), nil
}
