package prepareroot

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"

	"github.com/sysupdate-image/sysupdate-image/internal/linux/partdev"
)

// volatileRoot is where systemd-gpt-auto-generator looks for the root partition
// when the root file system has no device of its own; see systemd issue 35017.
const volatileRoot = "/run/systemd/volatile-root"

// rememberDevice makes link lead to the block device that the physical root is mounted
// from: systemd finds the other partitions of the same disk by it. No udev has to know
// the device, so it works in every initramfs.
func rememberDevice(sysroot, link string) error {
	number, err := partdev.DeviceOf(sysroot)
	if number == "" || err != nil {
		return err
	}
	if err = os.MkdirAll(path.Dir(link), 0o755); err == nil {
		err = os.Symlink("/dev/block/"+number, link)
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("cannot tell systemd the root partition: %w", err)
	}
	return nil
}
