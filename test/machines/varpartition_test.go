package machines

import (
	"context"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/testing/vm"
	"github.com/sysupdate-image/sysupdate-image/test/disks"
)

// TestVarPartition installs with a partition for /var. What is in it survives an update and a
// rollback, and a reset gives it a fresh one.
func TestVarPartition(t *testing.T) {
	t.Parallel()
	ctx := need(t)
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

// resetVar gives the machine a fresh /var, and the one before it again.
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
	m.Do(ctx, t, "grep more /var/data")
}
