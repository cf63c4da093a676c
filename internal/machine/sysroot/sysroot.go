// Package sysroot opens the physical root of the running machine. It hides that
// it is mounted read-only, so that nobody writes to it by mistake.
package sysroot

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/format/mountplan"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
)

// ErrNotBooted says that a machine was not booted from an image.
var ErrNotBooted = errors.New("this machine was not booted from an image")

// Booted returns the deployment that the machine runs whose root is given, and
// its mount table. The error is ErrNotBooted if it runs none.
func Booted(root *os.Root) (deployment.ID, []mountplan.Mounted, error) {
	data, err := bounded.ReadRoot(root, "proc/self/mountinfo", limits.Kernel)
	if err != nil {
		return "", nil, fmt.Errorf("cannot read the mount table: %w", err)
	}
	mounts, err := mountplan.ParseMountinfo(string(data))
	if err != nil {
		return "", nil, err
	}
	mounted, _ := mountplan.At(mounts, "/")
	id, ok := deployment.FromMountSource(mounted.What)
	if !ok {
		return "", mounts, ErrNotBooted
	}
	return id, mounts, nil
}

// BootID returns the kernel's id of this boot as journald writes it, "" if it
// cannot be read.
func BootID(root *os.Root) string {
	data, err := bounded.ReadRoot(root, "proc/sys/kernel/random/boot_id", limits.Kernel)
	if err != nil {
		return ""
	}
	return strings.ReplaceAll(strings.TrimSpace(string(data)), "-", "")
}

// A Writable is the physical root, open for change.
type Writable struct {
	*os.Root
	mount *os.File // private; nil if the physical root is mounted writable
}

// OpenWritable opens the physical root of the running machine whose root is
// given. Where it is mounted read-only, a copy of the mount that only this
// process has is made writable, which needs CAP_SYS_ADMIN.
func OpenWritable(root *os.Root) (*Writable, error) {
	name := strings.TrimPrefix(deployment.SysrootDir, "/")
	dir, err := root.Open(name)
	if err != nil {
		return nil, fmt.Errorf("cannot open the physical root: %w", err)
	}
	defer dir.Close()
	visible, err := sys.Statfs(dir)
	if err != nil {
		return nil, fmt.Errorf("cannot open the physical root: %w", err)
	}
	if !visible.ReadOnly {
		writable, err := root.OpenRoot(name)
		return &Writable{Root: writable}, err
	}
	mount, err := writableCopy(dir)
	if err != nil {
		return nil, fmt.Errorf("cannot make the physical root writable: %w", asRoot(err))
	}
	private, err := os.OpenRoot(fmt.Sprintf("/proc/self/fd/%d", mount.Fd()))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("cannot open the physical root: %w", err), mount.Close())
	}
	return &Writable{Root: private, mount: mount}, nil
}

// asRoot adds to an error what an ordinary user has to do about it.
func asRoot(err error) error {
	if errors.Is(err, fs.ErrPermission) && os.Geteuid() != 0 {
		return fmt.Errorf("%w: must be run as root", err)
	}
	return err
}

func writableCopy(dir *os.File) (*os.File, error) {
	mount, err := sys.CloneTree(dir, "")
	if err != nil {
		return nil, err
	}
	if err := sys.SetMountAttr(mount, 0, sys.ReadOnly); err != nil {
		return nil, errors.Join(err, mount.Close())
	}
	return mount, nil
}

// Close lets go of the physical root and of the private mount.
func (w *Writable) Close() error {
	err := w.Root.Close()
	if w.mount != nil {
		err = errors.Join(err, w.mount.Close())
	}
	return err
}
