package machines

import (
	"context"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/testing/vm"
)

// TestDeadline updates to a version whose root never appears, with either initramfs: each boot
// ends all the same, and the loader goes back.
func TestDeadline(t *testing.T) {
	t.Parallel()
	ctx := needLong(t)
	m, _ := booted(ctx, t, vm.PC, "v2")
	for name, initramfs := range map[string]string{"standalone": "", "dracut": "/usr/lib/test-machine/dracut.img"} {
		m.Do(ctx, t, "systemctl start test-registry && sysupdate-image apply --force "+v2)
		m.Do(ctx, t, "initramfs="+initramfs+`
set -e
mkdir -p /run/esp && mount `+esp+` /run/esp
cd /run/esp/loader/entries
sed -i 's/^options /options root=UUID=00000000-1111-2222-3333-444444444444 rootwait sysupdate-image.initramfs-timeout=20s /' *.staged
test -z "$initramfs" || cp $initramfs /run/esp$(sed -n 's/^initrd *//p' *.staged)
cd / && umount /run/esp`)
		startReboot(ctx, t, m)
		if seen := waitFor(ctx, t, m, ". /etc/os-release && echo $IMAGE_VERSION", "1"); seen > 0 {
			t.Errorf("%s: version 2 was seen to run %d times, without its root", name, seen)
		}
		settled(ctx, t, m)
		contains(t, name+": the console", m.Console(), "the initramfs has not started the system within 20s", "Tries left until the boot loader takes another entry: 2.")
		contains(t, name+": status", m.Do(ctx, t, "sysupdate-image status"), "failed 3 times: it never reached the initramfs, or not as far as prepare-root")
	}
}

// startReboot asks the machine to reboot and does not wait for it.
func startReboot(ctx context.Context, t *testing.T, m *vm.Machine) {
	t.Helper()
	if _, err := m.Run(ctx, "systemctl reboot --no-block"); err != nil && !vm.WentDown(err) {
		t.Fatal(err)
	}
}

// waitFor lets the machine boot until a script prints what is wanted, and returns how
// many other boots it saw.
func waitFor(ctx context.Context, t *testing.T, m *vm.Machine, script, want string) int {
	t.Helper()
	for others := 0; ; others++ {
		if _, err := m.WaitBoot(ctx); err != nil {
			t.Fatal(err)
		}
		got, err := m.Must(ctx, script)
		if err == nil && got == want {
			return others
		}
		if err != nil && !vm.WentDown(err) {
			t.Fatal(err)
		}
	}
}
