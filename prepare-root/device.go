package prepareroot

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/format/mountplan"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
)

// volatileRoot is where systemd-gpt-auto-generator looks for the root partition
// when the root file system has no device of its own; see systemd issue 35017.
const volatileRoot = "/run/systemd/volatile-root"

// rememberDevice makes link lead to the block device that the physical root is mounted
// from: systemd finds the other partitions of the same disk by it. No udev has to know
// the device, so it works in every initramfs.
func rememberDevice(sysroot, link string) error {
	number, err := deviceOf(sysroot)
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

// deviceOf returns the number of the block device that is mounted at a directory, as
// MAJOR:MINOR, or "" if it is no block device.
func deviceOf(dir string) (string, error) {
	f, err := os.Open(dir)
	if err != nil {
		return "", err
	}
	defer f.Close()
	st, err := sys.Statx(f, "")
	if err != nil {
		return "", err
	}
	if st.DevMajor != 0 {
		return fmt.Sprintf("%d:%d", st.DevMajor, st.DevMinor), nil
	}
	// A btrfs may have several devices, so it has a number of its own: the mount table
	// has the name of one of them.
	mounts, err := readMounts()
	if err != nil {
		return "", err
	}
	for _, m := range mounts {
		if uint64(m.ID) != st.MountID || !path.IsAbs(m.What) {
			continue
		}
		if major, minor, err := sys.BlockDevice(m.What); err == nil {
			return fmt.Sprintf("%d:%d", major, minor), nil
		}
	}
	return "", nil
}

// readMounts reads the mount table.
func readMounts() ([]mountplan.Mounted, error) {
	text, err := bounded.ReadPath("/proc/self/mountinfo", limits.Kernel)
	if err != nil {
		return nil, err
	}
	return mountplan.ParseMountinfo(string(text))
}
