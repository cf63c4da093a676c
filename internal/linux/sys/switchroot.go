package sys

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// SwitchRoot makes the mount at path dir the root of the mount namespace and of this
// process, and its working directory: it is moved to /, over the file system of the initramfs. See
// ramfs-rootfs-initramfs in the kernel's documentation of file systems.
func SwitchRoot(dir string) error {
	if err := unix.Chdir(dir); err != nil {
		return fmt.Errorf("chdir %s: %w", dir, err)
	}
	if err := unix.Mount(".", "/", "", unix.MS_MOVE, ""); err != nil {
		return fmt.Errorf("move mount %s to /: %w", dir, err)
	}
	if err := unix.Chroot("."); err != nil {
		return fmt.Errorf("chroot %s: %w", dir, err)
	}
	return nil
}

// Exec replaces the program of this process. It returns only if it cannot.
func Exec(program string, args, environment []string) error {
	return fmt.Errorf("execve %s: %w", program, unix.Exec(program, args, environment))
}

// Types of file systems that an initramfs can be in, as Statfs returns them.
const (
	RAMFS = unix.RAMFS_MAGIC
	TMPFS = unix.TMPFS_MAGIC
)

// StandardFiles makes f standard input, output and error of this process. f may be closed
// then.
func StandardFiles(f *os.File) error {
	return withFD(f, func(fd int) error {
		for n := range 3 {
			if err := unix.Dup3(fd, n, 0); err != nil && err != unix.EINVAL {
				return fmt.Errorf("dup3 %s, %d: %w", f.Name(), n, err)
			}
		}
		return nil
	})
}
