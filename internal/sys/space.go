package sys

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Space returns how many bytes an unprivileged process can still write to the
// file system that f is in, and the size of the blocks that it gives to files,
// in bytes. See fstatfs(2).
func Space(f *os.File) (free, block int64, err error) {
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &st); err != nil {
		return 0, 0, fmt.Errorf("fstatfs %s: %w", f.Name(), err)
	}
	size := max(int64(st.Frsize), 1)
	return int64(st.Bavail) * size, size, nil
}
