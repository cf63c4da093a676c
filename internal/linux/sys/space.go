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

// A Usage is how much of a file system is in use: bytes and inodes that an
// unprivileged process can still take, and all there are; no Inodes if the file
// system makes them as it needs them. See fstatfs(2).
type Usage struct {
	Free, Size         int64
	FreeInodes, Inodes int64
}

// UsageOf returns that of the file system that f is in.
func UsageOf(f *os.File) (Usage, error) {
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &st); err != nil {
		return Usage{}, fmt.Errorf("fstatfs %s: %w", f.Name(), err)
	}
	block := max(int64(st.Frsize), 1)
	return Usage{int64(st.Bavail) * block, int64(st.Blocks) * block, int64(st.Ffree), int64(st.Files)}, nil
}
