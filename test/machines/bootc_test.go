package machines

import (
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/testing/vm"
)

// TestBootcScripts does on a running machine what scripts for bootc do, through a link with its
// name: an update is downloaded, and held back over a reboot, and booted when somebody says so,
// without a registry. A kernel argument that is added meanwhile is there from the next boot on.
func TestBootcScripts(t *testing.T) {
	t.Parallel()
	ctx := need(t)
	m, _ := booted(ctx, t, vm.UML, "v2")
	const link = "mkdir -p /run/link && ln -sf /usr/bin/sysupdate-image /run/link/bootc && PATH=/run/link:$PATH && "
	m.Do(ctx, t, "systemctl start test-registry && "+link+"bootc switch --mutate-in-place "+v2)
	contains(t, "upgrade --check", m.Do(ctx, t, link+"bootc upgrade --check"), "Update available for: docker://"+v2)
	contains(t, "status", m.Do(ctx, t, link+"bootc status --json | grep -A 3 cachedUpdate"), strings.TrimSuffix(v2, ":v2"))
	contains(t, "status", m.Do(ctx, t, link+"bootc status --format=humanreadable"), "Update: ", " is available, ", " to fetch (checked ")

	m.Do(ctx, t, link+"bootc upgrade --download-only --quiet --progress-fd 3 3>/run/events")
	m.Do(ctx, t, `grep -q '"task":"pulling"' /run/events && grep -q '"task":"staging".*"completed":true' /run/events`)
	m.Do(ctx, t, link+`bootc status --json | grep -q '"downloadOnly": true'`)
	contains(t, "kargs add", m.Do(ctx, t, "sysupdate-image kargs add test.added=1"), "Added test.added=1", "and the staged deployment")
	reboot(ctx, t, m)
	settled(ctx, t, m)
	if got := version(ctx, t, m); got != "1" {
		t.Fatalf("after a reboot with an update that is held back, version %s runs; want 1", got)
	}
	m.Do(ctx, t, `grep -q ' test.added=1' /proc/cmdline`)
	status := m.Do(ctx, t, "sysupdate-image status")
	contains(t, "status", status, "locked: stays staged until it is unlocked", "●→ booted")
	contains(t, "kargs list", m.Do(ctx, t, "sysupdate-image kargs list | grep test.added"), "machine")

	contains(t, "upgrade --from-downloaded", m.Do(ctx, t, "systemctl stop test-registry; "+link+"bootc upgrade --from-downloaded"), "Unlocked ")
	reboot(ctx, t, m)
	settled(ctx, t, m)
	if got := version(ctx, t, m); got != "2" {
		t.Fatalf("after the update was unlocked, version %s runs; want 2\n%s", got, m.Do(ctx, t, "sysupdate-image status; journalctl --no-pager -b -1 | tail -n 60"))
	}
	m.Do(ctx, t, `grep -q ' test.added=1' /proc/cmdline`)
	contains(t, "status", m.Do(ctx, t, link+"bootc status"), "apiVersion: org.containers.bootc/v1", "type: bootcHost")
}
