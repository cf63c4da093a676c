package machines

import (
	"context"
	"os/exec"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/testing/vm"
	"github.com/sysupdate-image/sysupdate-image/test/disks"
)

// TestVarPartition installs with a partition for /var. What is in it survives an update and a
// rollback, and a reset gives it a fresh one, with a standalone initramfs and with dracut's.
func TestVarPartition(t *testing.T) {
	t.Parallel()
	ctx := needLong(t)
	installer, err := disks.NewInstaller(ctx, vm.UML)
	if err != nil {
		t.Fatal(err)
	}
	registry, err := disks.Registry(ctx, "v2")
	if err != nil {
		t.Fatal(err)
	}
	disk := installDisk(ctx, t, installer, "--var-size 512M")
	cfg := installer.Installed(t.TempDir(), disk, registry)
	m, _ := bootDisk(ctx, t, cfg)
	m.Do(ctx, t, "echo data >/var/data && mkdir -p /var/lib/machines")
	onPartition(ctx, t, m)
	contains(t, "status", m.Do(ctx, t, "sysupdate-image status --verbose"), "/var: PARTUUID=")

	m.Do(ctx, t, "systemctl start test-registry && sysupdate-image apply --insecure-registry 127.0.0.1:5000/os:v2")
	reboot(ctx, t, m)
	settled(ctx, t, m)
	if v := version(ctx, t, m); v != "2" {
		t.Errorf("version %q runs after an update; want 2", v)
	}
	onPartition(ctx, t, m)
	m.Do(ctx, t, "echo more >>/var/data && sysupdate-image rollback")
	reboot(ctx, t, m)
	settled(ctx, t, m)
	if v := version(ctx, t, m); v != "1" {
		t.Errorf("version %q runs after a rollback; want 1", v)
	}
	onPartition(ctx, t, m)
	m.Do(ctx, t, `test "$(cat /var/data)" = "data
more" && sysupdate-image prune`)
	resetVar(ctx, t, m)
	off(ctx, t, m)
	withoutVar(ctx, t, cfg)
}

// onPartition fails unless /var is on its partition, and nowhere else.
func onPartition(ctx context.Context, t *testing.T, m *vm.Machine) {
	t.Helper()
	m.Do(ctx, t, `set -e
test "$(findmnt --noheadings --output PARTLABEL /sysroot/state/os/default)" = var
findmnt --noheadings --output OPTIONS /sysroot/state/os/default | grep -w ro
grep data /sysroot/state/os/default/var/data
mount --mkdir -o bind /sysroot /run/root
grep 'on a partition of its own' /run/root/state/os/default/var
umount /run/root
systemctl show --property=Conflicts sysroot-state-os-default.mount | grep -v umount`)
}

// resetVar gives the machine a fresh /var, the one before it, and the fresh one, with which it
// stays.
func resetVar(ctx context.Context, t *testing.T, m *vm.Machine) {
	t.Helper()
	m.Do(ctx, t, "sysupdate-image install reset && test -e /var/data")
	reboot(ctx, t, m)
	settled(ctx, t, m)
	m.Do(ctx, t, "test ! -e /var/data && echo fresh data >/var/data")
	onPartition(ctx, t, m)
	m.Do(ctx, t, "sysupdate-image rollback")
	reboot(ctx, t, m)
	settled(ctx, t, m)
	m.Do(ctx, t, "grep more /var/data && sysupdate-image rollback")
	m.Do(ctx, t, `for initrd in $(sed -n 's/^initrd *//p' /boot/loader/entries/*.conf); do
cp /usr/lib/test-machine/dracut.img /boot$initrd || exit
done; sync`)
	reboot(ctx, t, m)
	settled(ctx, t, m)
	onPartition(ctx, t, m)
	m.Do(ctx, t, `set -e
grep fresh /var/data
sysupdate-image install reset --confirm
mount --mkdir PARTLABEL=var /run/var
test "$(ls -A /run/var | grep -v lost+found)" = reset
umount /run/var`)
	reboot(ctx, t, m)
	settled(ctx, t, m)
	m.Do(ctx, t, "grep fresh /var/data")
}

// withoutVar boots a machine whose partition for /var is gone.
func withoutVar(ctx context.Context, t *testing.T, cfg vm.Config) {
	t.Helper()
	cfg.Disks[0].Forget = true
	out, err := exec.CommandContext(ctx, "sfdisk", "--quiet", "--part-uuid", cfg.Disks[0].Path, "2", "01234567-89ab-4cde-8f01-23456789abcd").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	cfg.Dir = t.TempDir()
	initrd, options, err := vm.Entry(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Initrd, cfg.Cmdline = initrd, strings.Join(append(options, "sysupdate-image.on-failure=poweroff", "rootwait=3"), " ")
	m := vm.Launch(ctx, t, cfg)
	if err := m.WaitOff(ctx); err != nil {
		t.Fatal(err)
	}
	contains(t, "the console", m.Console(), "cannot find the partition of /var, which state/os/var-partition.json on the physical root names",
		"no partition has PARTUUID=", "after 3s")
}
