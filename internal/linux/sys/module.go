package sys

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// ErrModuleLoaded reports that a module is loaded already, or is part of the kernel.
const ErrModuleLoaded = unix.EEXIST

// moduleCompressed is MODULE_INIT_COMPRESSED_FILE of <linux/module.h>.
const moduleCompressed = 4

// LoadModule loads the module in a file, with parameters as for modprobe(8). The kernel
// decompresses it if asked to, if it was built to do so. It returns once the module has
// taken the devices there are. See finit_module(2).
func LoadModule(f *os.File, parameters string, compressed bool) error {
	flags := 0
	if compressed {
		flags = moduleCompressed
	}
	err := withFD(f, func(fd int) error {
		return retry(func() error { return unix.FinitModule(fd, parameters, flags) })
	})
	if err != nil {
		return fmt.Errorf("finit_module %s: %w", f.Name(), err)
	}
	return nil
}

// KernelRelease returns what uname(2) calls the release of the running kernel, such as
// 6.12.1-amd64: the name of the directory with its modules.
func KernelRelease() (string, error) {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return "", fmt.Errorf("uname: %w", err)
	}
	return unix.ByteSliceToString(name.Release[:]), nil
}
