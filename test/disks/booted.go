package disks

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"

	"github.com/sysupdate-image/sysupdate-image/internal/testing/vm"
)

// registrySize is what qemu-img(1) and mkfs.ext4(8) understand, and the same for all.
const registrySize = "1G"

// A Booted machine is one that image v1 was installed on, as it is once all of its units
// have started. A test goes on from there unless booting is what it tests.
type Booted struct {
	// Disk is a qcow2 file of a PC, to make overlays of, and a raw one of a UML, to copy.
	Disk string
	// Saved is for Config.Saved of a PC. A UML, which boots in seconds, has booted from
	// its disk and was shut down.
	Saved string
}

// Boot returns a machine that has booted.
func (i Installer) Boot(ctx context.Context) (Booted, error) {
	installed, err := Installed(ctx)
	if err != nil {
		return Booted{}, err
	}
	version, err := exec.CommandContext(ctx, "qemu-system-x86_64", "--version").Output()
	if err != nil {
		return Booted{}, err
	}
	key := keyOf("1", installed, fmt.Sprint(i.kind, i.kvm), i.kernel, string(version))
	dir, err := cached(ctx, "booted", key, func(ctx context.Context, dir string) error {
		return i.boot(ctx, installed, dir)
	})
	if err != nil {
		return Booted{}, err
	}
	b := Booted{Disk: filepath.Join(dir, "disk")}
	if i.kind == vm.PC {
		b.Saved = dir
	}
	return b, nil
}

// boot boots a machine and puts it into dir.
func (i Installer) boot(ctx context.Context, installed, dir string) error {
	disk, registry := filepath.Join(dir, "disk"), filepath.Join(dir, "registry")
	if err := vm.CreateDisk(ctx, registry, "raw", registrySize); err != nil {
		return err
	}
	if err := i.Own(ctx, disk, installed, "raw"); err != nil {
		return err
	}
	m, err := vm.Start(ctx, i.Installed(dir, disk, registry))
	if err != nil {
		return err
	}
	defer m.Kill()
	if _, err := m.WaitBoot(ctx); err != nil {
		return err
	}
	if state, err := m.WaitSettled(ctx); err != nil || state != "running" {
		return errors.Join(err, fmt.Errorf("the machine is %s; want running", state))
	}
	if i.kind == vm.UML {
		return m.PowerOff(ctx)
	}
	// Each test has another registry.
	_, err = m.Must(ctx, "sync; blockdev --flushbufs /dev/disk/by-id/virtio-registry && echo 3 > /proc/sys/vm/drop_caches")
	if err != nil {
		return err
	}
	return m.Save(ctx)
}
