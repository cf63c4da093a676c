package machines

import (
	"context"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/testing/vm"
)

// picky is a check that finds only version 1 good: the first boot of another one it keeps
// waiting, and the later ones it refuses.
const picky = `set -e
mkdir -p /etc/sysupdate-image/check.d
echo 'check-timeout = "10s"' > /etc/sysupdate-image/update.toml
cat > /etc/sysupdate-image/check.d/20-picky <<'EOF'
#!/bin/sh
. /etc/os-release
echo "this is version $IMAGE_VERSION"
test "$IMAGE_VERSION" = 1 && exit
test -e /var/lib/waited || { touch /var/lib/waited; sync; sleep 1000; }
exit 7
EOF
chmod 755 /etc/sysupdate-image/check.d/20-picky`

// TestHealth has checks that fail: on a system that has proved itself, which stays up and says
// so, and on a boot on trial, after which the machine is back in the old version and tells
// which check it was.
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
	settled(ctx, t, m)
	m.Do(ctx, t, "systemctl is-active sysupdate-image-health-check.service")
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

	// A healthy boot is a good one, and what was told of it is forgotten.
	m.Do(ctx, t, "sed -i 's/^exit 7/exit 0/' /etc/sysupdate-image/check.d/20-picky")
	m.Do(ctx, t, "systemctl start test-registry && sysupdate-image apply --force "+v2)
	m.Do(ctx, t, "test ! -e /run/motd.d/sysupdate-image")
	reboot(ctx, t, m)
	proves(ctx, t, m, "2")
	contains(t, "the journal of the check", m.Do(ctx, t, "journalctl --no-pager --boot --output=cat --identifier=20-picky"), "this is version 2")
}

// staysUp has a check fail on a system that is not on trial.
func staysUp(ctx context.Context, t *testing.T, m *vm.Machine) {
	t.Helper()
	m.Do(ctx, t, `printf '#!/bin/sh\necho no database >&2\nkill -TERM $$\n' > /etc/sysupdate-image/check.d/30-db && chmod 755 /etc/sysupdate-image/check.d/30-db`)
	reboot(ctx, t, m)
	state, err := m.WaitSettled(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if state != "degraded" {
		t.Errorf("with a check that fails the machine is %s; want degraded", state)
	}
	contains(t, "what has failed", m.Do(ctx, t, "systemctl --no-pager --failed"), "sysupdate-image-health-check.service", "1 loaded units listed")
	contains(t, "status", m.Do(ctx, t, "sysupdate-image status"), "degraded: check 30-db failed (killed by signal 15): no database")
	// The administrator repairs it.
	m.Do(ctx, t, "rm /etc/sysupdate-image/check.d/30-db && systemctl restart sysupdate-image-health-check.service")
	settled(ctx, t, m)
	if got := m.Do(ctx, t, "sysupdate-image status"); strings.Contains(got, "degraded") {
		t.Errorf("status after the repair:\n%s", got)
	}
}
