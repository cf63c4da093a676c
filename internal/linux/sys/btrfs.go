package sys

import (
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// btrfsScan is BTRFS_IOC_SCAN_DEV of <linux/btrfs.h>, whose argument is a struct
// btrfs_ioctl_vol_args.
const btrfsScan = 0x50009404

// ScanBtrfs has the kernel remember a device of a btrfs, so that mounting another one of
// them finds it. control is /dev/btrfs-control.
func ScanBtrfs(control *os.File, device string) error {
	var args struct {
		_    int64
		name [4088]byte
	}
	if copy(args.name[:], device) >= len(args.name) {
		return fmt.Errorf("ioctl BTRFS_IOC_SCAN_DEV %.100s: %w", device, unix.ENAMETOOLONG)
	}
	err := withFD(control, func(fd int) error {
		return retry(func() error {
			_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), btrfsScan, uintptr(unsafe.Pointer(&args)))
			if errno != 0 {
				return errno
			}
			return nil
		})
	})
	if err != nil {
		return fmt.Errorf("ioctl BTRFS_IOC_SCAN_DEV %s: %w", device, err)
	}
	return nil
}
