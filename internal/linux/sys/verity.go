package sys

import (
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// verityBlock is the block size, in bytes, of the hash trees.
const verityBlock = 4096

// EnableVerity protects the file f, open for reading only, with fs-verity. The
// algorithm is a number of <linux/fsverity.h>. Nobody may have the file open
// for writing: ETXTBSY. See FS_IOC_ENABLE_VERITY in the kernel's
// Documentation/filesystems/fsverity.rst.
func EnableVerity(f *os.File, algorithm uint32) error {
	arg := unix.FsverityEnableArg{Version: 1, Hash_algorithm: algorithm, Block_size: verityBlock}
	err := withFD(f, func(fd int) error {
		return retry(func() error { return ioctl(fd, unix.FS_IOC_ENABLE_VERITY, unsafe.Pointer(&arg)) })
	})
	if err != nil {
		return fmt.Errorf("enable fs-verity of %s: %w", f.Name(), err)
	}
	return nil
}

// MeasureVerity returns algorithm and digest of a file that fs-verity
// protects; ENODATA if it does not. See FS_IOC_MEASURE_VERITY.
func MeasureVerity(f *os.File) (algorithm uint32, sum []byte, err error) {
	var arg struct {
		head unix.FsverityDigest
		sum  [64]byte
	}
	arg.head.Size = uint16(len(arg.sum))
	err = withFD(f, func(fd int) error {
		return ioctl(fd, unix.FS_IOC_MEASURE_VERITY, unsafe.Pointer(&arg))
	})
	if err != nil {
		return 0, nil, fmt.Errorf("measure fs-verity of %s: %w", f.Name(), err)
	}
	return uint32(arg.head.Algorithm), arg.sum[:min(int(arg.head.Size), len(arg.sum))], nil
}

func ioctl(fd int, request uintptr, arg unsafe.Pointer) error {
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, uintptr(arg)); errno != 0 {
		return errno
	}
	return nil
}
