package machines

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/testing/vm"
)

const (
	v2  = "127.0.0.1:5000/os:v2"
	sid = "127.0.0.1:5000/os:sid"
	uki = "127.0.0.1:5000/os:uki"
	esp = "/dev/disk/by-id/virtio-root-part1"
)

// TestUpdate goes the whole way of an update, on a machine where everything that
// can stop an apply stops it first. What a boot loader has to do with it is shown by
// TestUKI and TestRollback.
func TestUpdate(t *testing.T) {
	t.Parallel()
	ctx := need(t)
	m, cfg := booted(ctx, t, vm.UML, "v2", "sid")
	if got := version(ctx, t, m); got != "1" {
		t.Fatalf("version %s runs; want 1", got)
	}

	for _, name := range []string{"/x", "/usr/x", "/sysroot/x"} {
		contains(t, "touch", m.Fails(ctx, t, 1, "touch "+name), "Read-only file system")
	}
	m.Do(ctx, t, keepJournal)
	m.Do(ctx, t, "useradd --uid 4242 alice && echo tower > /etc/hostname && rm /etc/issue.net && echo data > /var/lib/data && sync")

	m.Do(ctx, t, statusChecks)
	applyIsRefused(ctx, t, m)
	applyIsKilled(ctx, t, m)
	applyTwiceAtOnce(ctx, t, m)

	// A staged deployment outlives a power cut.
	m.Kill()
	m = vm.Boot(ctx, t, cfg)
	if got := version(ctx, t, m); got != "1" {
		t.Errorf("after a power cut with a deployment staged, version %s runs; want 1", got)
	}
	contains(t, "status after a power cut", m.Do(ctx, t, "sysupdate-image status"),
		"staged", "it was staged one boot ago, and the machine went down without a shutdown")
	contains(t, "the journal after a power cut", messages(ctx, t, m, 0, msgRearmed), "the machine went down without a shutdown")
	reboot(ctx, t, m)

	settled(ctx, t, m)
	if got := version(ctx, t, m); got != "2" {
		t.Fatalf("after the reboot version %s runs; want 2\n%s", got, m.Do(ctx, t, "sysupdate-image status; journalctl --no-pager -b -1 | tail -n 60"))
	}
	contains(t, "the journal", messages(ctx, t, m, -1, msgFinalized), " boots next")
	contains(t, "a local user, and the image's", m.Do(ctx, t, "id alice; id hello"), "uid=4242(alice)", "(hello)")
	contains(t, "the new package", m.Do(ctx, t, "hello"), "Hello")
	contains(t, "/etc/motd", m.Do(ctx, t, "cat /etc/motd"), "version 2")
	m.Fails(ctx, t, 1, "test -e /usr/share/test-machine/only-in-1")
	m.Do(ctx, t, `test "$(cat /etc/hostname)" = tower && test ! -e /etc/issue.net && test "$(cat /var/lib/data)" = data`)
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
rm /run/esp/loader/entries/stray.conf /run/esp/loader/entries/broken.conf
umount /run/esp`

// applyIsRefused meets what a machine can lack, each time with a sentence that
// says so.
func applyIsRefused(ctx context.Context, t *testing.T, m *vm.Machine) {
	t.Helper()
	contains(t, "apply without a registry", m.Fails(ctx, t, 1, "sysupdate-image apply "+v2), "refused")
	m.Do(ctx, t, "systemctl start test-registry")
	contains(t, "apply of a missing tag", m.Fails(ctx, t, 1, "sysupdate-image apply 127.0.0.1:5000/os:none"), "none")
}

// applyIsKilled kills apply while it writes objects.
func applyIsKilled(ctx context.Context, t *testing.T, m *vm.Machine) {
	t.Helper()
	out := m.Do(ctx, t, `
count() { find /sysroot/composefs/objects -type f | wc -l; }
before=$(count)
sysupdate-image apply `+sid+` >/run/apply.log 2>&1 &
apply=$!
while kill -0 $apply 2>/dev/null && [ $(count) -lt $((before + 20)) ]; do :; done
kill -9 $apply && echo killed
wait $apply
echo $(( $(count) - before )) objects`)
	contains(t, "the shell", out, "killed")
	t.Logf("before it was killed, apply wrote %s", strings.TrimPrefix(out, "killed\n"))
	nothingStaged(ctx, t, m)
}

func nothingStaged(ctx context.Context, t *testing.T, m *vm.Machine) {
	t.Helper()
	out := m.Do(ctx, t, "sysupdate-image status")
	contains(t, "status", out, "booted")
	if strings.Contains(out, "staged") {
		t.Errorf("something is staged after apply did not get through:\n%s", out)
	}
}

// applyTwiceAtOnce stages version 2, in one of two runs; the other one says why it
// did not, or found it staged.
func applyTwiceAtOnce(ctx context.Context, t *testing.T, m *vm.Machine) {
	t.Helper()
	var results [2]vm.Result
	var errs [2]error
	var group sync.WaitGroup
	for i := range results {
		group.Go(func() { results[i], errs[i] = m.Run(ctx, "sysupdate-image apply "+v2) })
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
			contains(t, "the second apply", r.Stderr, "in use")
		}
	}
	if done == 0 {
		t.Fatalf("neither of two applies got through:\n%s\n%s", results[0].Stderr, results[1].Stderr)
	}
	contains(t, "status", m.Do(ctx, t, "sysupdate-image status"), "staged")
}
