package sys

import "golang.org/x/sys/unix"

// Inherited reports whether the caller of this program has given it a descriptor, and whether to
// write to. The number of one that was not given may be that of a file that this program has
// opened itself: all of those are closed on exec.
func Inherited(fd int) (given, writable bool) {
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	if err != nil || flags&unix.FD_CLOEXEC != 0 {
		return false, false
	}
	mode, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	return true, err == nil && mode&unix.O_ACCMODE != unix.O_RDONLY
}
