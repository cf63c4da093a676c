package sys

import (
	"os"

	"golang.org/x/sys/unix"
)

// InForeground reports whether f is a terminal of which this process is in the foreground, or
// not its controlling terminal, which has no foreground for it.
func InForeground(f *os.File) bool {
	group, err := unix.IoctlGetInt(int(f.Fd()), unix.TIOCGPGRP)
	return err != nil || group == unix.Getpgrp()
}
