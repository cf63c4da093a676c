package disks

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/testing/vm"
)

// A Step is something that is done in a machine.
type Step struct {
	Title string
	// Script is run with sh(1).
	Script string
}

// InstallSteps are what a newcomer would type to install image v1 to the disk
// whose serial is "target": partitions that the Discoverable Partitions
// Specification describes, file systems, and one command of ours.
var InstallSteps = []Step{
	{"Make two partitions: where the firmware looks for a boot loader, and the root file system of an x86-64 machine.", `
sfdisk --quiet /dev/disk/by-id/virtio-target <<EOF
label: gpt
size=300M, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B, name=esp
type=4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709, name=root
EOF
udevadm settle`},
	{"Make file systems: FAT, and ext4 that can protect files with fs-verity.", `
mkfs.vfat -F 32 -n ESP /dev/disk/by-id/virtio-target-part1 >/dev/null
mkfs.ext4 -q -O verity -L root /dev/disk/by-id/virtio-target-part2
mkdir -p /mnt/root /mnt/esp
mount /dev/disk/by-id/virtio-target-part2 /mnt/root
mount /dev/disk/by-id/virtio-target-part1 /mnt/esp`},
	{"Install the image.", `
sysupdate-image install to-filesystem /mnt/root --esp /mnt/esp --image oci:/image:v1`},
	{"What is on the disk now:", `
cd /mnt && find esp -type f && cat esp/loader/entries/*.conf && ls root && df -h /mnt/root /mnt/esp
cd / && umount /mnt/esp /mnt/root`},
}

// installWork is how much processor time an installation may take, much more than it
// needs where two processors are emulated.
const installWork = time.Hour

// Installed returns a disk on which image v1 has been installed, a raw file to make
// copies or overlays of. Its root is an ext4.
func Installed(ctx context.Context) (string, error) { return install(ctx, InstallSteps) }

// InstalledOnBtrfs is Installed with the root on a btrfs.
func InstalledOnBtrfs(ctx context.Context) (string, error) {
	steps := slices.Clone(InstallSteps)
	for i := range steps {
		steps[i].Script = strings.Replace(steps[i].Script, "mkfs.ext4 -q -O verity -L root", "mkfs.btrfs -q -L root", 1)
	}
	return install(ctx, steps)
}

func install(ctx context.Context, steps []Step) (string, error) {
	installer, err := NewInstaller(ctx, vm.UML)
	if err != nil {
		return "", err
	}
	inputs := []string{"2", installer.disk}
	for _, step := range steps {
		inputs = append(inputs, step.Script)
	}
	dir, err := cached(ctx, "installed", keyOf(inputs...), func(ctx context.Context, dir string) error {
		return installer.Install(ctx, dir, filepath.Join(dir, diskName), steps, func(Step, vm.Result) {})
	})
	return filepath.Join(dir, diskName), err
}

const diskName = "disk.raw"

// Install makes target a new raw disk, whose serial is "target", and takes the steps
// that install something to it, in a machine that keeps its files in dir. It calls done
// after each step.
func (i Installer) Install(ctx context.Context, dir, target string, steps []Step, done func(Step, vm.Result)) error {
	if err := vm.CreateDisk(ctx, target, "raw", "6G"); err != nil {
		return err
	}
	m, err := vm.Start(ctx, i.Config(dir, vm.Disk{Path: target, Serial: "target"}))
	if err != nil {
		return err
	}
	defer m.Kill()
	ctx, cancel := m.Bounded(ctx, installWork)
	defer cancel()
	if _, err := m.WaitBoot(ctx); err != nil {
		return err
	}
	for _, step := range steps {
		result, err := m.Run(ctx, "exec 2>&1; set -e"+step.Script)
		if err == nil {
			err = result.Err()
		}
		if err != nil {
			return fmt.Errorf("cannot install: %s: %w", step.Title, err)
		}
		done(step, result)
	}
	return m.PowerOff(ctx)
}
