package sys

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// initialUserNamespace is the inode number of the user namespace that the kernel
// starts with, below /proc/PID/ns; see USER_NS_INIT_INO in its <linux/nsfs.h>.
const initialUserNamespace = 0xeffffffd

// MaySeeTrusted returns an error, which is fs.ErrPermission, if the kernel says of
// every file that it has no trusted.* attributes, whether it has some or not: see
// xattr(7).
func MaySeeTrusted() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData // of 32 capabilities each
	if err := unix.Capget(&header, &sets[0]); err != nil {
		return fmt.Errorf("capget: %w", err)
	}
	if sets[0].Effective&(1<<unix.CAP_SYS_ADMIN) == 0 {
		return fmt.Errorf("trusted attributes are hidden without CAP_SYS_ADMIN: %w", unix.EPERM)
	}
	var namespace unix.Stat_t
	if unix.Stat("/proc/self/ns/user", &namespace) == nil && namespace.Ino != initialUserNamespace {
		return fmt.Errorf("trusted attributes are hidden in a user namespace: %w", unix.EPERM)
	}
	return nil // also where there are no namespaces, or no /proc
}
