package sys

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Errors of LoadKernel that callers tell apart.
const (
	ErrNotPermitted = unix.EPERM
	ErrNoKey        = unix.ENOKEY       // nothing that the kernel trusts has signed it
	ErrRejected     = unix.EKEYREJECTED // its signature is wrong
	ErrNotSigned    = unix.ENODATA
	ErrNoSyscall    = unix.ENOSYS
	ErrNotExecute   = unix.ENOEXEC // it is no kernel that can be started so
)

// UnloadKexec forgets the kernel that is loaded for kexec, if there is one.
func UnloadKexec() error {
	if err := unix.KexecFileLoad(-1, -1, "", unix.KEXEC_FILE_UNLOAD); err != nil {
		return fmt.Errorf("kexec_file_load: %w", err)
	}
	return nil
}

// MemFile returns a new file in memory that has only this name.
func MemFile(name string) (*os.File, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("memfd_create %s: %w", name, err)
	}
	return os.NewFile(uintptr(fd), name), nil
}
