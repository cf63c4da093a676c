package bootcount

import (
	"io/fs"
	"strconv"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
)

// Where the kernel tells who started it. On x86 it is a number that Linux's boot protocol
// gives to boot loaders, and kexec is one of them. Elsewhere it is a property of the device
// tree, which has no value.
const (
	loaderTypeFile  = "proc/sys/kernel/bootloader_type"
	kexecInTree     = "proc/device-tree/chosen/linux,booted-from-kexec"
	loaderTypeKexec = 0xd
)

// ByKexec reports whether another kernel started the running one: what the boot loader left
// in EFI variables is then of an earlier boot. root is the root of the running system.
func ByKexec(root fs.FS) bool {
	if text, err := bounded.ReadFile(root, loaderTypeFile, limits.Kernel); err == nil {
		number, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 32)
		return err == nil && number>>4 == loaderTypeKexec
	}
	_, err := fs.Stat(root, kexecInTree)
	return err == nil
}
