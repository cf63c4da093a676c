package sys

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// BlockDevice returns the number of the block device at path, a device node or a
// symbolic link to one. See makedev(3).
func BlockDevice(path string) (major, minor uint32, err error) {
	var st unix.Stat_t
	if err := retry(func() error { return unix.Stat(path, &st) }); err != nil {
		return 0, 0, fmt.Errorf("stat %s: %w", path, err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFBLK {
		return 0, 0, fmt.Errorf("%s: %w", path, unix.ENOTBLK)
	}
	return unix.Major(st.Rdev), unix.Minor(st.Rdev), nil
}
