package prepareroot

import (
	"errors"
	"fmt"
	"os"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/mount"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
)

// Kernel says what the running kernel can do that others cannot. It is found
// out by trying: distributions backport features, and leave them out.
type Kernel struct {
	// DetachedLayers: a mount that is attached nowhere can be a layer of an
	// overlay and have mounts below it. Linux 6.15.
	DetachedLayers bool

	// LayerFDs: layers of an overlay are given as open files. Linux 6.13.
	LayerFDs bool

	// EROFSFiles: EROFS reads an image from a file, without a loop device. Linux
	// 6.12. That it does not becomes known when it is tried.
	EROFSFiles bool
}

// ProbeKernel finds out what the kernel can do. Nothing it mounts is seen. The
// error says what the kernel lacks.
func ProbeKernel() (Kernel, error) {
	k := Kernel{EROFSFiles: true}
	a, err := sys.Detached("tmpfs", 0)
	if err != nil {
		return Kernel{}, lacking("tmpfs", err)
	}
	defer a.Close()
	b, err := sys.Detached("tmpfs", 0)
	if err != nil {
		return Kernel{}, lacking("tmpfs", err)
	}
	defer b.Close()
	dir, err := openBelow(a, ".")
	if err != nil {
		return Kernel{}, err
	}
	defer dir.Close()
	if err := needVerity(); err != nil {
		return Kernel{}, err
	}
	k.LayerFDs, err = sys.HasMountOption("overlay", sys.MountFD("lowerdir+", dir))
	if err != nil {
		return Kernel{}, err
	}
	overlay, err := sys.Detached("overlay", sys.ReadOnly, sys.MountString("lowerdir", procPath(a)+":"+procPath(b)))
	if err == nil {
		overlay.Close()
		k.DetachedLayers = true
	} else if !errors.Is(err, sys.ErrInvalid) {
		return Kernel{}, err
	}
	return k, nil
}

// errTooOld reports a kernel that cannot mount images whatever is loaded.
var errTooOld = errors.New("this kernel cannot mount composefs images: its overlayfs has no fs-verity, which came with Linux 6.6")

// needVerity returns errTooOld if the kernel's overlayfs cannot verify files. Older ones are
// given all options as one text, which is not looked at before the mount: they take anything.
func needVerity() error {
	has, err := sys.HasMountOption("overlay", sys.MountString("verity", "off"))
	if err != nil {
		return lacking("overlay", err)
	}
	anything, err := sys.HasMountOption("overlay", sys.MountFlag("sysupdate-image-probe"))
	if err != nil {
		return err
	}
	if has && !anything {
		return nil
	}
	release, err := sys.KernelRelease()
	if err != nil {
		return errors.Join(errTooOld, err)
	}
	return fmt.Errorf("%w (this is %s)", errTooOld, release)
}

// lacking adds to an error what the initramfs needs, where the kernel lacks a file system
// or loop devices.
func lacking(fstype string, err error) error {
	switch {
	case errors.Is(err, sys.ErrNoSuchFileSystem):
		return fmt.Errorf("the kernel has no %s file system: its module must be in the initramfs (%w)", fstype, err)
	case errors.Is(err, mount.ErrNoLoop):
		return fmt.Errorf("%w: the module loop must be in the initramfs", err)
	}
	return err
}

// procPath returns a name of an open file that mount options take.
func procPath(f *os.File) string { return fmt.Sprintf("/proc/self/fd/%d", f.Fd()) }

// openBelow opens a directory in a mount or in another directory. Links that
// lead out of it are refused.
func openBelow(dir *os.File, name string) (*os.File, error) {
	root, err := os.OpenRoot(procPath(dir))
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return root.Open(name)
}
