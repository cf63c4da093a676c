package machines

import (
	"context"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/testing/vm"
)

// picky is a check that finds only version 1 good, and that no longer once it has seen
// another one: the first boot of that it keeps waiting, and the later ones it refuses.
const picky = `set -e
mkdir -p /etc/sysupdate-image/check.d
echo 'check-timeout = "10s"' > /etc/sysupdate-image/update.toml
cat > /etc/sysupdate-image/check.d/20-picky <<'EOF'
#!/bin/sh
. /etc/os-release
echo "this is version $IMAGE_VERSION"
test "$IMAGE_VERSION" = 1 && { test ! -e /var/lib/waited; exit; }
test -e /var/lib/waited || { touch /var/lib/waited; sync; sleep 1000; }
exit 7
EOF
chmod 755 /etc/sysupdate-image/check.d/20-picky`

// TestHealth has checks that fail: on a system that has proved itself, which stays up and says
// so, and on a boot on trial, after which the machine is back in the old version and tells
// which check it was. That one stays up, too, though the check does not find it good either.
func TestHealth(t *testing.T) {
	t.Parallel()
	ctx := need(t)
	m, _ := booted(ctx, t, vm.UML, "v2")
	m.Do(ctx, t, keepJournal)
	m.Do(ctx, t, picky)
	staysUp(ctx, t, m)

	m.Do(ctx, t, "systemctl start test-registry && sysupdate-image apply "+v2)
	startReboot(ctx, t, m)
	if boots := waitFor(ctx, t, m, ". /etc/os-release && echo $IMAGE_VERSION", "1"); boots != 3 {
		t.Errorf("back in version 1 after %d boots of version 2; want 3", boots)
	}
	isDegraded(ctx, t, m, "degraded: check 20-picky failed (exit status 1): this is version 1")
	if got := m.Do(ctx, t, "journalctl --no-pager --output=cat MESSAGE_ID="+msgBootFailed) + "\n"; strings.Count(got, "\n") != 3 ||
		!strings.Contains(got, ": check 20-picky failed (timed out): this is version 2\n") {
		t.Errorf("of three boots the journal says:\n%s", got)
	}
	contains(t, "status", m.Do(ctx, t, "sysupdate-image status"),
		"failed 3 times: check 20-picky failed (exit status 7): this is version 2 (sysupdate-image status --failed)")
	contains(t, "status --failed", m.Do(ctx, t, "sysupdate-image status --failed"), "check 20-picky failed (exit status 7): this is version 2",
		"The end of its journal:", ": this is version 2")
	contains(t, "status --failed --json", m.Do(ctx, t, "sysupdate-image status --failed --json"), `"result": "exit-code"`, `"status": "7"`)
	m.Fails(ctx, t, 1, "setpriv --reuid=65534 --regid=65534 --clear-groups sysupdate-image status --failed | grep -q 'this is version'")
	contains(t, "what is told at login", m.Do(ctx, t, "cat /run/motd.d/sysupdate-image"), "and was undone: check 20-picky failed (exit status 7).")

	// A healthy boot is a good one, with the boot partition mounted as well, and what was told
	// of it is forgotten.
	m.Do(ctx, t, "sed -i 's/^exit 7/exit 0/' /etc/sysupdate-image/check.d/20-picky && echo '"+esp+" /boot vfat defaults 0 0' >> /etc/fstab")
	m.Do(ctx, t, "systemctl start test-registry && sysupdate-image apply --force "+v2)
	m.Do(ctx, t, "test ! -e /run/motd.d/sysupdate-image")
	reboot(ctx, t, m)
	proves(ctx, t, m, "2")
	m.Do(ctx, t, "findmnt /boot && systemctl is-active boot-complete.target")
	contains(t, "the journal of the check", m.Do(ctx, t, "journalctl --no-pager --boot --output=cat --identifier=20-picky"), "this is version 2")
}

// staysUp has a check fail on a system that is not on trial.
func staysUp(ctx context.Context, t *testing.T, m *vm.Machine) {
	t.Helper()
	m.Do(ctx, t, `printf '#!/bin/sh\necho no database >&2\nkill -TERM $$\n' > /etc/sysupdate-image/check.d/30-db && chmod 755 /etc/sysupdate-image/check.d/30-db`)
	reboot(ctx, t, m)
	isDegraded(ctx, t, m, "degraded: check 30-db failed (killed by signal 15): no database")
	// The administrator repairs it.
	m.Do(ctx, t, "rm /etc/sysupdate-image/check.d/30-db && systemctl restart sysupdate-image-health-check.service")
	settled(ctx, t, m)
	if got := m.Do(ctx, t, "sysupdate-image status"); strings.Contains(got, "degraded") {
		t.Errorf("status after the repair:\n%s", got)
	}
}

// isDegraded fails the test unless the machine is up, and degraded by its checks alone, which
// status says.
func isDegraded(ctx context.Context, t *testing.T, m *vm.Machine, status string) {
	t.Helper()
	state, err := m.WaitSettled(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if state != "degraded" {
		t.Errorf("with a check that fails the machine is %s; want degraded", state)
	}
	contains(t, "what has failed", m.Do(ctx, t, "systemctl --no-pager --failed"), "sysupdate-image-health-check.service", "1 loaded units listed")
	contains(t, "status", m.Do(ctx, t, "sysupdate-image status"), status)
}

// TestBootTimeout has a check that never ends: the boot on trial has taken too long before the
// check has.
func TestBootTimeout(t *testing.T) {
	t.Parallel()
	ctx := needLong(t)
	m, _ := booted(ctx, t, vm.UML, "v2")
	m.Do(ctx, t, picky)
	m.Do(ctx, t, `printf 'check-timeout = "1h"\nboot-timeout = "1min"\n' > /etc/sysupdate-image/update.toml
sed -i 's/^test -e .*/sleep 10000/' /etc/sysupdate-image/check.d/20-picky`)
	m.Do(ctx, t, "systemctl start test-registry && sysupdate-image apply "+v2)
	startReboot(ctx, t, m)
	if boots := waitFor(ctx, t, m, ". /etc/os-release && echo $IMAGE_VERSION", "1"); boots != 3 {
		t.Errorf("back in version 1 after %d boots of version 2; want 3", boots)
	}
	settled(ctx, t, m)
	contains(t, "status --failed", m.Do(ctx, t, "sysupdate-image status --failed"), "check 20-picky failed (still running)",
		"it was still waiting for sysupdate-image-health-check.service", "20-picky[")
}
