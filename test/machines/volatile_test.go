package machines

import (
	"context"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/testing/vm"
)

// TestVolatile boots with systemd.volatile=, which systemd carries out in dracut's initramfs,
// after prepare-root.
func TestVolatile(t *testing.T) {
	t.Parallel()
	ctx := needLong(t)
	m, _ := booted(ctx, t, vm.UML, "v1")
	m.Do(ctx, t, localChanges)
	m.Do(ctx, t, "initramfs=/usr/lib/test-machine/dracut.img\n"+useInitramfs)

	bootVolatile(ctx, t, m, "state")
	contains(t, "/var", m.Do(ctx, t, "findmnt --noheadings --output FSTYPE /var"), "tmpfs")
	m.Do(ctx, t, "test ! -e /var/lib/data && echo lost > /var/lib/lost && test \"$(cat /etc/hostname)\" = tower")

	bootVolatile(ctx, t, m, "no")
	m.Do(ctx, t, `test ! -e /var/lib/lost && test "$(cat /var/lib/data)" = data && test "$(cat /etc/hostname)" = tower`)
}

// bootVolatile boots with systemd.volatile= and a value.
func bootVolatile(ctx context.Context, t *testing.T, m *vm.Machine, value string) {
	t.Helper()
	m.Do(ctx, t, `set -e
sed -i -E 's/ *systemd\.volatile=[a-z]+//; s/^options .*/& systemd.volatile=`+value+`/' /boot/loader/entries/*.conf
sync`)
	reboot(ctx, t, m)
	settled(ctx, t, m)
	contains(t, "the initramfs", m.Do(ctx, t, "dmesg | grep -c 'systemd.*running in system mode'"), "2")
	contains(t, "touch", m.Fails(ctx, t, 1, "touch /usr/x"), "Read-only file system")
}
