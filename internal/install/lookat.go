package install

import (
	"fmt"
	"os"
	"runtime"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/repo"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
	"github.com/sysupdate-image/sysupdate-image/internal/image/installconfig"
	"github.com/sysupdate-image/sysupdate-image/internal/machine"
)

// firstStore opens the first repository that can be read, nil if none can.
func firstStore(dirs []string) *repo.Repository {
	for _, dir := range dirs {
		if r, err := repo.Open(dir); err == nil {
			return r
		}
	}
	return nil
}

// sizeOf returns how many bytes the different contents of a tree have, in whole blocks.
func sizeOf(root *tree.Node) (bytes int64) {
	const block = 4096
	seen := make(map[digest.Digest]bool)
	root.Walk(func(_ string, n *tree.Node) {
		if n.Digest.IsZero() || seen[n.Digest] {
			return
		}
		seen[n.Digest] = true
		bytes += int64(n.Size+block-1) / block * block
	})
	return bytes
}

// A Verity says what becomes of fs-verity.
type Verity string

// What becomes of fs-verity.
const (
	VerityNow   Verity = "enabled"     // while installing
	VerityNever Verity = "unsupported" // by the file system
	VerityLater Verity = "later"       // this kernel has none, that of the new machine may
)

// verityOf says what becomes of fs-verity where the root has a file system.
func verityOf(fstype string) Verity {
	if fstype == "xfs" {
		return VerityNever
	}
	// All file systems get it with the same option of the kernel; only ext4 shows it.
	if _, err := os.Stat("/sys/fs/ext4/features"); err == nil {
		if _, err := os.Stat("/sys/fs/ext4/features/verity"); err != nil {
			return VerityLater
		}
	}
	return VerityNow
}

// ownPath is the path of an open file for this program.
func ownPath(f *os.File) string { return fmt.Sprintf("/proc/self/fd/%d", f.Fd()) }

// Configuration returns how the running system wants to be installed.
func Configuration(host machine.Host) (installconfig.Config, error) {
	return installconfig.Load(host.Files, runtime.GOARCH)
}

// Config returns how the image wants to be installed.
func (img Image) Config() installconfig.Config { return img.config }
