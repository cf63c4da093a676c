package sys

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// How Openat2 resolves names, see openat2(2).
const (
	ResolveInRoot       = unix.RESOLVE_IN_ROOT       // as if dir were the root directory
	ResolveBeneath      = unix.RESOLVE_BENEATH       // fail if the way leads out of dir
	ResolveNoMagicLinks = unix.RESOLVE_NO_MAGICLINKS // fail at links such as /proc/self/fd/1
	ResolveNoSymlinks   = unix.RESOLVE_NO_SYMLINKS   // fail at any symbolic link
	ResolveNoXdev       = unix.RESOLVE_NO_XDEV       // fail at mount points
)

// openat2Tries bounds how often Openat2 tries again when the kernel cannot tell
// whether a ".." is safe because something was renamed at the same moment.
const openat2Tries = 128

// Openat2 opens name in dir with the flags of open(2), resolving as said;
// O_CLOEXEC is implied.
func Openat2(dir *os.File, name string, flags int, perm uint32, resolve uint64) (*os.File, error) {
	how := unix.OpenHow{Flags: uint64(flags | unix.O_CLOEXEC), Mode: uint64(perm), Resolve: resolve}
	var file *os.File
	err := withFD(dir, func(dirfd int) (err error) {
		for range openat2Tries {
			var fd int
			if fd, err = unix.Openat2(dirfd, name, &how); err == nil {
				file = os.NewFile(uintptr(fd), nameOf(dir, name))
				return nil
			}
			if err != unix.EAGAIN && err != unix.EINTR {
				return err
			}
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("openat2 %s: %w", nameOf(dir, name), err)
	}
	return file, nil
}
