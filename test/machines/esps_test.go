package machines

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/testing/vm"
)

// secondESP is the EFI system partition of another disk.
const secondESP = "/dev/disk/by-id/virtio-second-part1"

// TestFurtherESP boots from the EFI system partition of a second disk, once that of the first is
// destroyed: the update that had proved itself, and none that is on trial.
func TestFurtherESP(t *testing.T) {
	t.Parallel()
	ctx := needLong(t)
	cfg := installed(ctx, t, "v2")
	disk := filepath.Join(cfg.Dir, "second.raw")
	if err := os.WriteFile(disk, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(disk, 320<<20); err != nil {
		t.Fatal(err)
	}
	cfg.Disks = append(cfg.Disks, vm.Disk{Path: disk, Serial: "second"})
	m, _ := bootDisk(ctx, t, cfg)
	m.Do(ctx, t, `printf 'label: gpt\nsize=300M, type=U\n' | sfdisk --quiet /dev/disk/by-id/virtio-second
udevadm settle && mkfs.vfat -F 32 `+secondESP)
	contains(t, "add-esp", m.Fails(ctx, t, 1, "sysupdate-image install add-esp "+secondESP+" 2>&1"), "have no root=", "kargs add root=UUID=")
	m.Do(ctx, t, "sysupdate-image kargs add root=LABEL=root")
	reboot(ctx, t, m)
	proves(ctx, t, m, "1")
	contains(t, "the plan", m.Do(ctx, t, "sysupdate-image install add-esp --plan "+secondESP), "write   /loader/entries/", "Nothing was changed.")
	contains(t, "add-esp", m.Do(ctx, t, "sysupdate-image install add-esp "+secondESP), "boots the machine, too")
	contains(t, "add-esp", m.Fails(ctx, t, 1, "sysupdate-image install add-esp "+esp+" 2>&1"), "boots from")

	m.Do(ctx, t, "systemctl start test-registry && sysupdate-image apply --insecure-registry "+v2)
	hasEqual(ctx, t, m)
	reboot(ctx, t, m)
	proves(ctx, t, m, "2")
	m.Do(ctx, t, "until systemctl is-active sysupdate-image-esps.service || test $(systemctl show --property=ExecMainExitTimestampMonotonic --value sysupdate-image-esps.service) != 0; do sleep 0.3; done")
	hasEqual(ctx, t, m)
	contains(t, "the service", m.Do(ctx, t, "journalctl --no-pager -b -u sysupdate-image-esps.service"), "is now equal to the first")
	bootsSecond(ctx, t, m, cfg)
}

// hasEqual fails unless the second partition is known to be equal to the first.
func hasEqual(ctx context.Context, t *testing.T, m *vm.Machine) {
	t.Helper()
	contains(t, "status", m.Do(ctx, t, "sysupdate-image status --json && sysupdate-image status --verbose"), `"state": "equal"`, "Further ESP: /dev/vd")
}

// bootsSecond destroys the first partition, boots from the second, and makes the first equal again.
func bootsSecond(ctx context.Context, t *testing.T, m *vm.Machine, cfg vm.Config) {
	t.Helper()
	m.Do(ctx, t, "dd if=/dev/zero of="+esp+" bs=1M count=64 conv=fsync status=none")
	off(ctx, t, m)
	m = vm.Boot(ctx, t, cfg)
	if _, err := m.WaitSettled(ctx); err != nil {
		t.Fatal(err)
	}
	if got := version(ctx, t, m); got != "2" {
		t.Errorf("version %s runs; want 2", got)
	}
	m.Do(ctx, t, `cat /sys/firmware/efi/efivars/LoaderDevicePartUUID-* | tr -d '\000' | grep -qi $(lsblk --noheadings --output PARTUUID `+secondESP+`)`)
	contains(t, "status", m.Do(ctx, t, "sysupdate-image status --json"), `"state": "unknown"`)
	m.Fails(ctx, t, 1, "sysupdate-image install update-esps")
	m.Do(ctx, t, "mkfs.vfat -F 32 "+esp+" && sysupdate-image install update-esps")
	hasEqual(ctx, t, m)
	m.Do(ctx, t, "sysupdate-image rollback")
	hasEqual(ctx, t, m)
	contains(t, "remove-esp", m.Do(ctx, t, "sysupdate-image install remove-esp "+esp), "no longer boots the machine")
}
