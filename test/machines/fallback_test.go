package machines

import (
	"context"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/testing/vm"
)

// TestFallback updates to an image that never gets to boot-complete.target, and
// finds the machine back in the old one without anybody touching it.
func TestFallback(t *testing.T) {
	t.Parallel()
	ctx := need(t)
	m, _ := booted(ctx, t, vm.PC, "broken")
	m.Do(ctx, t, "systemctl start test-registry && sysupdate-image apply 127.0.0.1:5000/os:broken")
	startReboot(ctx, t, m)
	tries := waitFor(ctx, t, m, ". /etc/os-release && echo $IMAGE_VERSION", "1")
	t.Logf("back in version 1 after %d boots of version 3 were seen", tries)
	if tries == 0 {
		t.Error("version 3 was never seen to run")
	}
	settled(ctx, t, m)
	contains(t, "status", m.Do(ctx, t, "sysupdate-image status"), "failed 3 times", "test-broken.service")
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
