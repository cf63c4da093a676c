package sys

import (
	"fmt"
	"os"
	"unsafe"

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

// ErrBusy says that something has claimed a device.
const ErrBusy = unix.EBUSY

// OpenExclusive opens a block device to write, which fails with ErrBusy while it or a
// partition of it is mounted, or claimed by anything else in the kernel. See O_EXCL in open(2).
func OpenExclusive(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDWR|unix.O_EXCL|unix.O_CLOEXEC, 0)
}

// DiskSize returns the size of a block device and that of its sectors, in bytes.
func DiskSize(f *os.File) (size, sector int64, err error) {
	err = withFD(f, func(fd int) error {
		n, err := unix.IoctlGetInt(fd, unix.BLKSSZGET)
		if err != nil {
			return fmt.Errorf("ioctl BLKSSZGET %s: %w", f.Name(), err)
		}
		sector = int64(n)
		var bytes uint64
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.BLKGETSIZE64, uintptr(unsafe.Pointer(&bytes)))
		if errno != 0 {
			return fmt.Errorf("ioctl BLKGETSIZE64 %s: %w", f.Name(), errno)
		}
		size = int64(bytes)
		return nil
	})
	return size, sector, err
}
