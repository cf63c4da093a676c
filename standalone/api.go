package standalone

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
)

// Where everything is mounted while this program runs.
const (
	sysrootDir = "/sysroot"
	efiDir     = "/sys/firmware/efi"
	efiVarsDir = efiDir + "/efivars"
)

// An api is a file system of the kernel's.
type api struct {
	where, fstype string
	attr          sys.MountAttr
	options       []sys.MountOption
}

// apis are mounted as systemd does, which takes over those that it finds; so are the
// limits of /run.
var apis = []api{
	{"/dev", "devtmpfs", sys.NoSuid | sys.StrictAtime, []sys.MountOption{
		sys.MountString("mode", "0755"), sys.MountString("size", "4m"), sys.MountString("nr_inodes", "1m"),
	}},
	{"/proc", "proc", sys.NoSuid | sys.NoDev | sys.NoExec, nil},
	{"/sys", "sysfs", sys.NoSuid | sys.NoDev | sys.NoExec, nil},
	{"/run", "tmpfs", sys.NoSuid | sys.NoDev | sys.StrictAtime, []sys.MountOption{
		sys.MountString("mode", "0755"), sys.MountString("size", "20%"), sys.MountString("nr_inodes", "800k"),
	}},
}

// efiVars are the variables of the firmware.
var efiVars = api{efiVarsDir, "efivarfs", sys.NoSuid | sys.NoDev | sys.NoExec, nil}

// mountAPIs mounts the file systems of the kernel's. In an initramfs it mounts none
// itself, whatever it was built with.
func mountAPIs() error {
	for _, a := range apis {
		if err := a.mount(); err != nil {
			return err
		}
	}
	return os.MkdirAll(sysrootDir, 0o755)
}

// mount mounts the file system unless something is mounted there.
func (a api) mount() error {
	dir, err := openDir(a.where)
	if err != nil {
		return err
	}
	defer dir.Close()
	st, err := sys.Statx(dir, "")
	if err != nil || st.MountRoot {
		return err
	}
	mount, err := sys.Detached(a.fstype, a.attr, a.options...)
	if err != nil {
		return fmt.Errorf("cannot mount %s: %w", a.where, err)
	}
	defer mount.Close()
	if err := sys.Attach(mount, dir, ""); err != nil {
		return fmt.Errorf("cannot mount %s: %w", a.where, err)
	}
	return nil
}

// openDir opens a directory, and makes it if it does not exist.
func openDir(name string) (*os.File, error) {
	dir, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(name, 0o755); err != nil {
			return nil, err
		}
		return os.Open(name)
	}
	return dir, err
}

// mountEFI mounts the variables of the firmware, where there is one. It takes time on some
// machines, so it is done only when they are to be read.
func (p *program) mountEFI() {
	if _, err := os.Stat(efiVarsDir); err != nil {
		return // not an EFI machine
	}
	if p.loader != nil {
		p.loader.alias("efivarfs")
	}
	if err := efiVars.mount(); err != nil {
		p.log.warn("%v", err)
	}
}
