package machines

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/testing/vm"
	"github.com/sysupdate-image/sysupdate-image/test/disks"
)

// oldSteps put a package-based Debian with its own GRUB on a disk, as images for clouds have it:
// an EFI system partition, and the root with /boot.
var oldSteps = []disks.Step{{Title: "A Debian from packages", Script: `
sfdisk --quiet /dev/disk/by-id/virtio-target <<TABLE
label: gpt
size=300M, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B, name=esp
type=4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709, name=root
TABLE
udevadm settle
mkfs.vfat -F 32 -i 0A2B3C4D /dev/disk/by-id/virtio-target-part1 >/dev/null
mkfs.ext4 -q -O verity /dev/disk/by-id/virtio-target-part2
mount --mkdir /dev/disk/by-id/virtio-target-part2 /mnt/root
cp -ax /. /mnt/root
cd /mnt/root
rm -rf mnt/root
mkdir -p boot/efi boot/grub boot/old-kernel home/alice/.ssh etc/netplan
echo 'menuentry "Debian GNU/Linux" { true; }
source ${config_directory}/custom.cfg' >boot/grub/grub.cfg
echo '/dev/ubda1 /boot/efi vfat umask=0077 0 0' >etc/fstab
echo old-machine >etc/hostname
echo 'alice:x:1000:1000::/home/alice:/bin/bash' >>etc/passwd
echo 'alice:x:1000:' >>etc/group
echo 'alice:$y$alice:20000::::::' >>etc/shadow
echo 'ssh-ed25519 AAAA alice' >home/alice/.ssh/authorized_keys
echo 'network: {}' >etc/netplan/50.yaml
echo data >home/alice/data
cd / && umount /mnt/root`}}

// TestToExistingRoot installs an image beside a Debian, boots it, the old system and the image
// again, and then removes the old one. The machine gets a fresh state, the one before it and the
// fresh one again, which is kept.
func TestToExistingRoot(t *testing.T) {
	t.Parallel()
	ctx := need(t)
	installer, err := disks.NewInstaller(ctx, vm.UML)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	disk := filepath.Join(dir, "disk.raw")
	if err := installer.Install(ctx, dir, disk, oldSteps, func(disks.Step, vm.Result) {}); err != nil {
		t.Fatal(err)
	}
	image := installer.Installed(t.TempDir(), disk, disk)
	image.Disks = image.Disks[:1]
	old := image
	old.Dir, old.Cmdline = t.TempDir(), "root=/dev/ubda2 rw console=ttyS0"

	m := vm.Boot(ctx, t, old)
	installBeside(ctx, t, m)
	off(ctx, t, m)
	m = vm.Boot(ctx, t, image)
	besideOld(ctx, t, m)
	off(ctx, t, m)
	m = vm.Boot(ctx, t, old)
	backInOld(ctx, t, m)
	off(ctx, t, m)
	m = vm.Boot(ctx, t, image)
	removeOld(ctx, t, m)
	resetMachine(ctx, t, m)
}

func off(ctx context.Context, t *testing.T, m *vm.Machine) {
	t.Helper()
	if err := m.PowerOff(ctx); err != nil {
		t.Fatal(err)
	}
}

// installBeside installs on the running old system.
func installBeside(ctx context.Context, t *testing.T, m *vm.Machine) {
	t.Helper()
	m.Do(ctx, t, "mountpoint /boot/efi; test ! -e /composefs")
	const install = "sysupdate-image install to-existing-root / --image oci:/image:v1 --keep-etc passwd --keep-etc netplan --keep-etc hostname"
	plan := m.Do(ctx, t, install+" --plan 2>&1; test ! -e /composefs && test ! -e /boot/efi/loader")
	contains(t, "the plan", plan, "Debian GNU/Linux 13 (trixie)", "take over /etc/passwd", "to GRUB's menu in /boot/grub/custom.cfg",
		"way back  choose Debian", "fs-verity: enabled while installing", "Nothing was changed.")
	contains(t, "the output", m.Do(ctx, t, install+" 2>&1"), "Deployed Debian", "The way back to Debian", "install boot-old")
	contains(t, "GRUB's menu", m.Do(ctx, t, "cat /boot/grub/custom.cfg"), "search --no-floppy --fs-uuid --set=root 0A2B-3C4D", "default=sysupdate-image")
	m.Do(ctx, t, "test -e /boot/efi/loader/grub/grub.cfg && grep 'Debian GNU/Linux' /boot/grub/grub.cfg")
}

// besideOld looks at the image beside the old system.
func besideOld(ctx context.Context, t *testing.T, m *vm.Machine) {
	t.Helper()
	settled(ctx, t, m)
	m.Do(ctx, t, `set -e
test "$(hostname)" = old-machine
findmnt --noheadings --output SOURCE / | grep composefs
id alice
grep -F 'alice:$y$alice' /etc/shadow
test -e /etc/netplan/50.yaml && ! test -e /home/alice && ! grep -s ubda1 /etc/fstab
test -e /sysroot/home/alice/data`)
	contains(t, "the kernel command line", m.Do(ctx, t, "cat /proc/cmdline"), "composefs=", "root=UUID=")
	contains(t, "status", m.Do(ctx, t, "sysupdate-image status"), "booted")
	m.Do(ctx, t, `set -e
sysupdate-image install boot-old && ! grep default= /sysroot/boot/grub/custom.cfg
sysupdate-image install boot-old --undo && grep default= /sysroot/boot/grub/custom.cfg`)
}

// backInOld looks at the old system after the image has run, where both boot by default in turn.
func backInOld(ctx context.Context, t *testing.T, m *vm.Machine) {
	t.Helper()
	m.Do(ctx, t, `set -e
test "$(hostname)" = old-machine && test -e /home/alice/data
findmnt --noheadings --output FSTYPE / | grep ext4
sysupdate-image --sysroot / install boot-old && ! grep default= /boot/grub/custom.cfg
sysupdate-image --sysroot / install boot-old --undo && grep default= /boot/grub/custom.cfg
sed -i "/sysupdate-image: begin/,/sysupdate-image: end/d" /boot/grub/custom.cfg
test ! -s /boot/grub/custom.cfg
sysupdate-image install to-existing-root / --image oci:/image:v1 --ignore-image-config
grep default= /boot/grub/custom.cfg`)
}

// removeOld removes the old system, and reboots.
func removeOld(ctx context.Context, t *testing.T, m *vm.Machine) {
	t.Helper()
	settled(ctx, t, m)
	contains(t, "what would be removed", m.Do(ctx, t, "sysupdate-image install remove-old && test -e /sysroot/usr"),
		"remove    /sysroot/usr", "keep      /sysroot/home", "keep      /sysroot/boot/grub", "Nothing was removed")
	m.Do(ctx, t, `set -e
sysupdate-image install remove-old --yes
test ! -e /sysroot/usr && test ! -e /sysroot/etc && test ! -e /sysroot/boot/old-kernel
test -e /sysroot/home/alice/data
sysupdate-image history | grep 'removed the old system beside'
grep 'configfile /loader/grub/grub.cfg' /sysroot/boot/grub/grub.cfg`)
	reboot(ctx, t, m)
	settled(ctx, t, m)
	m.Do(ctx, t, `test "$(hostname)" = old-machine && id alice`)
}

// resetMachine gives the machine a fresh state, and then the other one, back and forth.
func resetMachine(ctx context.Context, t *testing.T, m *vm.Machine) {
	t.Helper()
	m.Do(ctx, t, "echo data >/var/data && echo local >/etc/local")
	id := m.Do(ctx, t, "cat /etc/machine-id")
	m.Do(ctx, t, "sysupdate-image install reset --keep-etc passwd && test -e /var/data && test -e /etc/local")
	reboot(ctx, t, m)
	settled(ctx, t, m)
	m.Do(ctx, t, `test ! -e /var/data && test ! -e /etc/local && test "$(hostname)" = machine && id alice`)
	if fresh := m.Do(ctx, t, "cat /etc/machine-id"); fresh == id {
		t.Errorf("the machine's id is %s before and after the reset", id)
	}
	contains(t, "status", m.Do(ctx, t, "sysupdate-image status"), "the machine has a fresh state; the one before it is kept")
	m.Do(ctx, t, "echo fresh >/var/fresh; sysupdate-image rollback")
	reboot(ctx, t, m)
	settled(ctx, t, m)
	m.Do(ctx, t, `test -e /var/data && test -e /etc/local && test ! -e /var/fresh && test "$(hostname)" = old-machine`)
	m.Do(ctx, t, "sysupdate-image rollback")
	reboot(ctx, t, m)
	settled(ctx, t, m)
	m.Do(ctx, t, `test -e /var/fresh && test ! -e /var/data && sysupdate-image install reset --confirm && test ! -e /sysroot/reset`)
	reboot(ctx, t, m)
	settled(ctx, t, m)
	m.Do(ctx, t, `test -e /var/fresh && test ! -e /etc/local && id alice`)
}
