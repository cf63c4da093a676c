package machines

import (
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/testing/vm"
)

// TestCounter updates a machine whose loader counts nothing to an image that never gets to
// boot-complete.target. The initramfs goes back to the old one after three boots, which stays
// the next from then on and knows what was wrong.
func TestCounter(t *testing.T) {
	t.Parallel()
	ctx := need(t)
	m, _ := booted(ctx, t, vm.UML, "broken")
	m.Do(ctx, t, "systemctl start test-registry && sysupdate-image apply 127.0.0.1:5000/os:broken")
	startReboot(ctx, t, m)
	boots := waitFor(ctx, t, m, ". /etc/os-release && echo $IMAGE_VERSION", "1")
	if boots != 3 {
		t.Errorf("back in version 1 after %d boots of version 3; want 3", boots)
	}
	settled(ctx, t, m)
	contains(t, "the console", m.Console(), "has used up its 3 boots: booting ")
	contains(t, "status", m.Do(ctx, t, "sysupdate-image status"), "●→ booted", "failed 3 times", "test-broken.service")

	// The loader has a new first entry; a timer leaves the image alone.
	contains(t, "apply", m.Fails(ctx, t, 1, "systemctl start test-registry && sysupdate-image apply 127.0.0.1:5000/os:broken"), "failed to boot here")
	reboot(ctx, t, m)
	settled(ctx, t, m)
	contains(t, "the command line", m.Do(ctx, t, "cat /proc/cmdline; findmnt -no SOURCE /"), "composefs="+m.Do(ctx, t, "findmnt -no SOURCE / | cut -d: -f2"))
	m.Do(ctx, t, "systemctl is-active boot-complete.target || systemctl start boot-complete.target")
}
