package machines

import (
	"context"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/testing/vm"
)

// TestInitramfs updates to images whose initramfs others than dracut have made. Each is
// found by its root's partition type, as there is no root= in its entry, and is blessed.
func TestInitramfs(t *testing.T) {
	t.Parallel()
	ctx := need(t)
	m, _ := booted(ctx, t, vm.PC, "initramfs_tools")
	m.Do(ctx, t, "echo tower > /etc/hostname && echo data > /var/lib/data")
	bootsWith(ctx, t, m, "initramfs_tools", "initramfs-tools")
}

// bootsWith updates to an image and checks that its initramfs does all that dracut's does.
func bootsWith(ctx context.Context, t *testing.T, m *vm.Machine, tag, want string) {
	t.Helper()
	m.Do(ctx, t, "systemctl start test-registry && sysupdate-image apply 127.0.0.1:5000/os:"+tag)
	reboot(ctx, t, m)
	settled(ctx, t, m)
	if got := version(ctx, t, m); got != want {
		t.Fatalf("version %s runs; want %s\n%s", got, want, m.Do(ctx, t, "sysupdate-image status"))
	}
	contains(t, "the blessing", m.Do(ctx, t, "systemctl start systemd-bless-boot.service && systemctl show --property=ExecStart systemd-bless-boot.service"),
		"finalize bless", "status=0")
	contains(t, "touch", m.Fails(ctx, t, 1, "touch /usr/x"), "Read-only file system")
	m.Do(ctx, t, `test "$(cat /etc/hostname)" = tower && test "$(cat /var/lib/data)" = data`)
	m.Do(ctx, t, "readlink /run/systemd/volatile-root && findmnt /sysroot")
}
