package prepareroot

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/mount"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
)

// sendTo boots the fallback of a deployment by the fallback's own kernel: by kexec, or if
// that cannot be, by the boot loader. What was tried before and led back here is not tried
// again. sendTo returns only if it cannot.
func (s settings) sendTo(root fs.FS, physical *os.Root, record deployment.Attempts, f facts, optional bool) error {
	var loadErr error
	if record.Redirects == 0 && !f.sealed {
		if loadErr = loadFallback(physical, record, optional); loadErr == nil {
			return restart(root, sys.PowerKexec)
		}
	}
	err := setOneShot(record.FallbackEntry)
	if err != nil {
		if grubErr := s.setGRUB(record.FallbackEntry); grubErr == nil {
			err = nil
		} else if !errors.Is(grubErr, fs.ErrNotExist) {
			err = grubErr
		}
	}
	if err == nil {
		err = restart(root, sys.PowerReboot)
	}
	return fmt.Errorf("cannot boot deployment %s by its own kernel: %w", record.Fallback.Short(), errors.Join(loadErr, err))
}

// kexecDir is where the image of the fallback is mounted while its kernel is loaded.
const kexecDir = buildDir + "/kexec"

// loadFallback loads the kernel of the fallback from its own image, verified as that is. A
// kernel in /boot is no part of an image, and left to the boot loader.
func loadFallback(physical *os.Root, record deployment.Attempts, optional bool) (err error) {
	if record.FallbackKernel == "" || record.FallbackOptions == "" {
		return errors.New("its kernel and its kernel command line are not recorded")
	}
	unmount, err := mountFallback(physical, record.Fallback, optional)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unmount()) }()
	image, err := os.OpenRoot(kexecDir)
	if err != nil {
		return err
	}
	defer image.Close()
	dir := path.Join("usr/lib/modules", record.FallbackKernel)
	kernel, err := image.Open(dir + "/vmlinuz")
	if err != nil {
		return err
	}
	defer kernel.Close()
	initrd, err := image.Open(dir + "/initramfs.img")
	if err != nil {
		return err
	}
	defer initrd.Close()
	return sys.LoadKernel(kernel, initrd, record.FallbackOptions)
}

// mountFallback mounts the image of a deployment at kexecDir, with the contents of its files.
func mountFallback(physical *os.Root, id deployment.ID, optional bool) (unmount func() error, err error) {
	image, err := physical.Open(id.ImageFile())
	if err != nil {
		return nil, err
	}
	defer image.Close()
	if !optional {
		if err := checkImage(image, string(id)); err != nil {
			return nil, err
		}
	}
	objects, err := physical.Open(path.Join(deployment.RepositoryDir, "objects"))
	if err != nil {
		return nil, err
	}
	defer objects.Close()
	if err := os.MkdirAll(kexecDir, 0o700); err != nil {
		return nil, err
	}
	if err := mount.Mount(image, objects, kexecDir, mount.Options{Source: id.MountSource(), Verity: !optional}); err != nil {
		return nil, err
	}
	return func() error { return errors.Join(sys.Unmount(kexecDir), os.Remove(kexecDir)) }, nil
}

// restart has the machine restart, be switched off, or boot the kernel that was loaded. It
// returns only if it cannot.
func restart(root fs.FS, p sys.Power) error {
	// systemd stops everything in order. If it does not, the kernel does it.
	if systemdRuns(root) && sys.AskInit(p) == nil {
		time.Sleep(timeToAct)
	}
	return sys.SetPower(p)
}
