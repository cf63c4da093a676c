package sys

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// TryFlock locks the open file f, exclusively or shared, without waiting. It
// returns false if the lock of another prevents it. The lock ends when every
// descriptor that stems from f's open(2) is closed.
func TryFlock(f *os.File, exclusive bool) (bool, error) {
	how := unix.LOCK_SH
	if exclusive {
		how = unix.LOCK_EX
	}
	err := withFD(f, func(fd int) error {
		return retry(func() error { return unix.Flock(fd, how|unix.LOCK_NB) })
	})
	if err == unix.EWOULDBLOCK {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("flock %s: %w", f.Name(), err)
	}
	return true, nil
}

// lockedByte is far behind what is in any file, and behind what programs lock of theirs.
const lockedByte = 1 << 62

// TryLockFile locks the open file f, which must be writable, without waiting. It returns
// false if the lock of another prevents it. This lock and that of TryFlock do not know of
// each other, so that a program that is to write to f can take the latter. The lock ends
// when every descriptor that stems from f's open(2) is closed. See F_OFD_SETLK in fcntl(2).
func TryLockFile(f *os.File) (bool, error) {
	lock := unix.Flock_t{Type: unix.F_WRLCK, Start: lockedByte, Len: 1}
	err := withFD(f, func(fd int) error {
		return retry(func() error { return unix.FcntlFlock(uintptr(fd), unix.F_OFD_SETLK, &lock) })
	})
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("lock %s: %w", f.Name(), err)
	}
	return true, nil
}
