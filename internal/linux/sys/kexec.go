package sys

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// UnloadKexec forgets the kernel that is loaded for kexec, if there is one.
func UnloadKexec() error {
	if err := unix.KexecFileLoad(-1, -1, "", unix.KEXEC_FILE_UNLOAD); err != nil {
		return fmt.Errorf("kexec_file_load: %w", err)
	}
	return nil
}
