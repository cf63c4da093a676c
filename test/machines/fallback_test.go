package machines

import (
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/testing/vm"
)

// TestFallback updates to an image that never gets to boot-complete.target, and
// finds the machine back in the old one without anybody touching it; then it
// updates to sid's kernel.
func TestFallback(t *testing.T) {
	t.Parallel()
	ctx := need(t)
	m, _ := booted(ctx, t, vm.PC, "broken", "sid")
	m.Do(ctx, t, "systemctl start test-registry && sysupdate-image apply 127.0.0.1:5000/os:broken")
	if _, err := m.Run(ctx, "systemctl reboot --no-block"); err != nil && !vm.WentDown(err) {
		t.Fatal(err)
	}
	tries := waitForVersion(t, m, "1")
	t.Logf("back in version 1 after %d boots of version 3 were seen", tries)
	if tries == 0 {
		t.Error("version 3 was never seen to run")
	}
	settled(ctx, t, m)
	contains(t, "status", m.Do(ctx, t, "sysupdate-image status"), "failed 3 times", "test-broken.service")

	m.Do(ctx, t, "systemctl start test-registry && sysupdate-image apply "+sid)
	reboot(ctx, t, m)
	settled(ctx, t, m)
	if got := version(ctx, t, m); got != "sid" {
		t.Fatalf("version %s runs; want sid", got)
	}
	t.Logf("kernel %s", m.Do(ctx, t, "uname -r"))
	contains(t, "touch", m.Fails(ctx, t, 1, "touch /usr/x"), "Read-only file system")
}

// waitForVersion lets the machine boot until it runs a version, and returns how
// many boots of others it saw.
func waitForVersion(t *testing.T, m *vm.Machine, want string) int {
	t.Helper()
	ctx := need(t)
	for others := 0; ; others++ {
		if _, err := m.WaitBoot(ctx); err != nil {
			t.Fatal(err)
		}
		got, err := m.Must(ctx, ". /etc/os-release && echo $IMAGE_VERSION")
		if err == nil && got == want {
			return others
		}
		if err != nil && !vm.WentDown(err) {
			t.Fatal(err)
		}
	}
}
