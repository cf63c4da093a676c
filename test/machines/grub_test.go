package machines

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/testing/vm"
	"github.com/sysupdate-image/sysupdate-image/test/disks"
)

// TestGRUB installs an image on a disk with GRUB, and has the firmware boot it: EFI by shim, or
// a BIOS. It is updated. Then it gets an update whose kernel panics before anything of ours runs,
// so that only GRUB can count it, and undoes that; with this update, GRUB's files are replaced by
// those of the system that had proved itself. It is rolled back.
func TestGRUB(t *testing.T) {
	ctx := needLong(t)
	disk := installGRUB(ctx, t)
	for name, bios := range map[string]bool{"EFI": false, "BIOS": true} {
		t.Run(name, func(t *testing.T) {
			cfg := ownDisk(ctx, t, disk, "grub2", "grub_panic")
			cfg.BIOS = bios
			m, cmdline := bootDisk(ctx, t, cfg)
			contains(t, "the kernel command line", cmdline, "root=UUID=", "BOOT_IMAGE=/")
			contains(t, "status", m.Do(ctx, t, "sysupdate-image status --verbose"), "grub 2.12-9+deb13u")

			to(ctx, t, m, "sysupdate-image apply "+grub2, "2")
			m.Do(ctx, t, isBlessed)
			contains(t, "the entries", m.Do(ctx, t, entryFiles), ".conf")

			startPanics(ctx, t, m)
			settled(ctx, t, m)
			if v := version(ctx, t, m); v != "2" {
				t.Fatalf("version %s runs after an update that panics; want 2", v)
			}
			contains(t, "status", m.Do(ctx, t, "sysupdate-image status"), "●→ booted", "failed")
			contains(t, "status", m.Do(ctx, t, "sysupdate-image status --verbose"), "grub 2.19-9+deb13u")
			contains(t, "GRUB's files", m.Do(ctx, t, newGRUBs), "EFI/BOOT/grubx64.efi", "EFI/debian/grubx64.efi")

			to(ctx, t, m, "sysupdate-image rollback", "1")
		})
	}
}

const (
	grub2      = "--insecure-registry 127.0.0.1:5000/os:grub2"
	grubPanic  = "--insecure-registry 127.0.0.1:5000/os:grub_panic"
	entryFiles = "mount " + esp + " /mnt && ls /mnt/loader/entries /mnt/loader/grub; cat /mnt/loader/grub/grubenv; umount /mnt"
	newGRUBs   = "mount " + esp + " /mnt && cd /mnt && grep -rl 2.19-9+deb13u EFI; cd / && umount /mnt"
)

// startPanics updates to an image whose kernel panics, and returns once the machine is back.
func startPanics(ctx context.Context, t *testing.T, m *vm.Machine) {
	t.Helper()
	m.Do(ctx, t, "systemctl start test-registry && sysupdate-image apply "+grubPanic)
	before := bootsOf(m)
	startReboot(ctx, t, m)
	waitFor(ctx, t, m, imageVersion, "2")
	if boots := bootsOf(m) - before; boots != 4 {
		t.Errorf("%d boots until the old system is back; want 4", boots)
	}
}

// installGRUB installs image grub on a disk, and reads it back.
func installGRUB(ctx context.Context, t *testing.T) string {
	t.Helper()
	installer, err := disks.InstallerOf(ctx, vm.UML, "grub")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	disk := filepath.Join(dir, "disk.raw")
	steps := []disks.Step{{Title: "install to-disk", Script: `
disk=/dev/disk/by-id/virtio-target
sysupdate-image install to-disk $disk --image oci:/image:grub --plan
sysupdate-image install to-disk $disk --image oci:/image:grub
sysupdate-image install verify $disk`}}
	err = installer.Install(ctx, dir, disk, steps, func(_ disks.Step, r vm.Result) {
		t.Log(r.Stdout)
		contains(t, "the output", r.Stdout, "bios", "Deployed Debian", "boots Debian")
	})
	if err != nil {
		t.Fatal(err)
	}
	return disk
}
