package sys

import (
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
