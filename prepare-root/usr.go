package prepareroot

import (
	"fmt"
	"os"
	"path"
	"slices"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/format/mountplan"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
)

// keepUsr makes /usr of the new root a mount point if fstab(5) there has a line for
// it, as on a machine that was taken over. An initramfs mounts what such a line names
// on /usr, be it systemd or dracut's module usrmount, where nothing is mounted yet:
// the image's programs would be gone.
func keepUsr(where string) error {
	root, err := os.OpenRoot(where)
	if err != nil {
		return err
	}
	defer root.Close()
	data, err := bounded.ReadRoot(root, "etc/fstab", limits.Text)
	isUsr := func(m mountplan.Mount) bool { return path.Clean(m.Where) == "/usr" }
	if err != nil || !slices.ContainsFunc(mountplan.ParseFstab(string(data)), isUsr) {
		return nil // systemd will have no better luck with such a file
	}
	if err := bindToItself(root, "usr"); err != nil {
		return fmt.Errorf("cannot keep the line for /usr in /etc/fstab from hiding the image: %w", err)
	}
	return nil
}

func bindToItself(root *os.Root, name string) error {
	dir, err := root.Open(name)
	if err != nil {
		return err
	}
	defer dir.Close()
	mount, err := clone(dir)
	if err != nil {
		return err
	}
	defer mount.Close()
	return sys.Attach(mount, dir, "")
}
