package machines

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/vmtest"
)

const (
	v2  = "127.0.0.1:5000/os:v2"
	sid = "127.0.0.1:5000/os:sid"
	esp = "/dev/disk/by-id/virtio-root-part1"
)

// TestUpdate goes the whole way of an update, on a machine where everything that
// can stop an apply stops it first.
func TestUpdate(t *testing.T) {
	ctx := need(t, 15*time.Minute)
	cfg := installed(ctx, t)
	m := vmtest.Boot(ctx, t, cfg)
	settled(ctx, t, m)
	if got := version(ctx, t, m); got != "1" {
		t.Fatalf("version %s runs; want 1", got)
	}

	for _, name := range []string{"/x", "/usr/x", "/sysroot/x", "/boot/x"} {
		if name != "/boot/x" { // the ESP may be mounted there
			contains(t, "touch", m.Fails(ctx, t, 1, "touch "+name), "Read-only file system")
		}
	}
	m.Do(ctx, t, "echo tower > /etc/hostname && rm /etc/issue.net && echo data > /var/lib/data && sync")

	m.Do(ctx, t, statusChecks)
	applyIsRefused(t, m)
	applyIsKilled(t, m)
	applyTwiceAtOnce(t, m)

	// A staged deployment outlives a power cut.
	m.Kill()
	m = vmtest.Boot(ctx, t, cfg)
	if got := version(ctx, t, m); got != "1" {
		t.Errorf("after a power cut with a deployment staged, version %s runs; want 1", got)
	}
	contains(t, "status after a power cut", m.Do(ctx, t, "sysupdate-image status"), "staged")
	reboot(ctx, t, m)

	settled(ctx, t, m)
	if got := version(ctx, t, m); got != "2" {
		t.Fatalf("after the reboot version %s runs; want 2\n%s", got, m.Do(ctx, t, "sysupdate-image status; journalctl --no-pager -b -1 | tail -n 60"))
	}
	contains(t, "the new package", m.Do(ctx, t, "hello"), "Hello")
	contains(t, "/etc/motd", m.Do(ctx, t, "cat /etc/motd"), "version 2")
	m.Fails(ctx, t, 1, "test -e /usr/share/test-machine/only-in-1")
	m.Do(ctx, t, `test "$(cat /etc/hostname)" = tower && test ! -e /etc/issue.net && test "$(cat /var/lib/data)" = data`)

	m.Do(ctx, t, "sysupdate-image rollback")
	reboot(ctx, t, m)
	settled(ctx, t, m)
	if got := version(ctx, t, m); got != "1" {
		t.Fatalf("after a rollback version %s runs; want 1", got)
	}
	m.Do(ctx, t, `test "$(cat /etc/hostname)" = tower && test "$(cat /var/lib/data)" = data`)
}

// statusChecks asks for the status in all the ways that have to work.
const statusChecks = `set -e
as_nobody() { setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; }
sysupdate-image status
as_nobody sysupdate-image status
as_nobody sysupdate-image status --json
mkdir -p /run/esp && mount ` + esp + ` /run/esp
echo 'not an entry' > /run/esp/loader/entries/stray.conf
printf 'title Broken\nlinux /missing\noptions composefs=zzz\n' > /run/esp/loader/entries/broken.conf
sysupdate-image status | tee /run/status
grep -q broken.conf /run/status
rm /run/esp/loader/entries/{stray,broken}.conf 2>/dev/null || rm /run/esp/loader/entries/stray.conf /run/esp/loader/entries/broken.conf
umount /run/esp`

// applyIsRefused meets what a machine can lack, each time with a sentence that
// says so, and nothing staged.
func applyIsRefused(t *testing.T, m *vmtest.Machine) {
	t.Helper()
	ctx := t.Context()
	contains(t, "apply without a registry", m.Fails(ctx, t, 1, "sysupdate-image apply "+v2), "refused")
	m.Do(ctx, t, "systemctl start test-registry")
	contains(t, "apply of a missing tag", m.Fails(ctx, t, 1, "sysupdate-image apply 127.0.0.1:5000/os:none"), "none")

	m.Do(ctx, t, "fallocate -l $(( $(df --output=avail -B1 /var | tail -n 1) - (8 << 20) )) /var/filler")
	contains(t, "apply with a full root file system", m.Fails(ctx, t, 1, "sysupdate-image apply "+v2), "space")
	m.Do(ctx, t, "rm /var/filler")

	m.Do(ctx, t, "mkdir -p /run/esp && mount "+esp+" /run/esp && dd if=/dev/zero of=/run/esp/filler bs=1M status=none; sync; umount /run/esp")
	contains(t, "apply with a full ESP", m.Fails(ctx, t, 1, "sysupdate-image apply "+sid), "space")
	m.Do(ctx, t, "mount "+esp+" /run/esp && rm /run/esp/filler && umount /run/esp")

	contains(t, "status", m.Do(ctx, t, "sysupdate-image status"), "booted")
	if out := m.Do(ctx, t, "sysupdate-image status"); strings.Contains(out, "staged") {
		t.Errorf("something is staged after apply was refused:\n%s", out)
	}
}

// applyIsKilled kills apply while it writes objects.
func applyIsKilled(t *testing.T, m *vmtest.Machine) {
	t.Helper()
	out := m.Do(t.Context(), t, `
count() { find /sysroot/composefs/objects -type f | wc -l; }
before=$(count)
sysupdate-image apply `+v2+` >/run/apply.log 2>&1 &
apply=$!
while kill -0 $apply 2>/dev/null && [ $(count) -lt $((before + 20)) ]; do :; done
kill -9 $apply && echo killed
wait $apply
sysupdate-image status`)
	contains(t, "the shell", out, "killed")
	if strings.Contains(out, "staged") {
		t.Errorf("something is staged after apply was killed:\n%s", out)
	}
}

// applyTwiceAtOnce stages version 2 in one of two runs; the other one says why
// it did not, or found it staged.
func applyTwiceAtOnce(t *testing.T, m *vmtest.Machine) {
	t.Helper()
	var results [2]vmtest.Result
	var errs [2]error
	var group sync.WaitGroup
	for i := range results {
		group.Go(func() { results[i], errs[i] = m.Run(t.Context(), "sysupdate-image apply "+v2) })
	}
	group.Wait()
	done := 0
	for i, r := range results {
		switch {
		case errs[i] != nil:
			t.Fatal(errs[i])
		case r.Exit == 0:
			done++
		default:
			contains(t, "the second apply", r.Stderr, "another")
		}
	}
	if done == 0 {
		t.Fatalf("neither of two applies got through:\n%s\n%s", results[0].Stderr, results[1].Stderr)
	}
	contains(t, "status", m.Do(t.Context(), t, "sysupdate-image status"), "staged")
}
