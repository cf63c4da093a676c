package machines

import (
	"context"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/testing/vm"
)

// TestEtc shows and undoes changes to the /etc of a running machine, and updates
// it to an image that leaves no place for one of them.
func TestEtc(t *testing.T) {
	t.Parallel()
	ctx := need(t)
	m, _ := booted(ctx, t, vm.UML, "v1", "v2")

	m.Do(ctx, t, `set -e
echo mine > /etc/motd && chmod 600 /etc/motd
rm /etc/issue.net
mkdir /etc/mine.d && echo x > /etc/mine.d/f`)
	contains(t, "etc diff", m.Do(ctx, t, "sysupdate-image etc diff"),
		"~ /etc/motd  content", "mode 0644 -> 0600", "-This is version 1 of the example image.\n+mine", "- /etc/issue.net", "+ /etc/mine.d/\n", "+ /etc/mine.d/f")
	contains(t, "etc diff of another user", m.Fails(ctx, t, 1, "setpriv --reuid=65534 --regid=65534 --clear-groups sysupdate-image etc diff"), "must be run as root")
	m.Do(ctx, t, "echo other > /etc/issue && mount --bind /etc/motd /etc/issue")
	contains(t, "etc reset of a mount point", m.Fails(ctx, t, 1, "sysupdate-image etc reset /etc/issue"), "/etc/issue is a mount point")
	m.Do(ctx, t, "umount /etc/issue")
	undoChanges(ctx, t, m)
	overlaysUsr(ctx, t, m)
	meetConflict(ctx, t, m)
	reboot(ctx, t, m)

	settled(ctx, t, m)
	if got := version(ctx, t, m); got != "2" {
		t.Fatalf("after the reboot version %s runs; want 2\n%s", got, m.Do(ctx, t, "sysupdate-image status; journalctl --no-pager -b -1 | tail -n 60"))
	}
	m.Fails(ctx, t, 1, "test -e /usr/share/tried || touch /usr/x")
	m.Do(ctx, t, `set -e
grep -q 'version 2' /etc/motd
test "$(cat /etc/.conflicts/*/motd/mine)" = mine
test "$(stat -c %a /etc/.conflicts)" = 700
test "$(cat /etc/late.conf)" = late`)
	contains(t, "etc report", m.Do(ctx, t, "sysupdate-image etc report"),
		"Conflict: /etc/motd: local directory, file in the new image: /etc/motd/mine; using the image's version; the local version is in /etc/.conflicts/",
		"added     /etc/late.conf")
	contains(t, "status", m.Do(ctx, t, "sysupdate-image status"), "the /etc merge needs review (1 conflict): sysupdate-image etc report")
	contains(t, "etc diff", m.Do(ctx, t, "sysupdate-image etc diff --names"), "+ /etc/late.conf", "/motd/mine")
}

// undoChanges brings back what the image has, file by file, under the programs
// that run.
func undoChanges(ctx context.Context, t *testing.T, m *vm.Machine) {
	t.Helper()
	contains(t, "etc reset --dry-run", m.Do(ctx, t, "sysupdate-image etc reset --dry-run /etc/motd /etc/mine.d"),
		"/etc/motd", "remove /etc/mine.d, a directory that is not in the image\n", "Nothing was changed.")
	m.Do(ctx, t, `set -e
sysupdate-image etc reset /etc/motd /etc/mine.d /etc/issue.net
grep -q 'version 1' /etc/motd
test "$(stat -c %a /etc/motd)" = 644
test -s /etc/issue.net
test ! -e /etc/mine.d
test -z "$(sysupdate-image etc diff /etc/motd /etc/mine.d /etc/issue.net)"`)
}

// meetConflict has version 2 refused because of a local directory where it has a
// file, and then staged by the policy new, with an edit that comes later.
func meetConflict(ctx context.Context, t *testing.T, m *vm.Machine) {
	t.Helper()
	m.Do(ctx, t, "systemctl start test-registry && rm /etc/motd && mkdir /etc/motd && echo mine > /etc/motd/mine")
	const conflict = "/etc/motd: local directory, file in the new image: /etc/motd/mine"
	contains(t, "apply", m.Fails(ctx, t, 1, "sysupdate-image apply "+v2), conflict, "--etc-conflicts=keep", "--etc-conflicts=new")
	nothingStaged(ctx, t, m)
	contains(t, "apply --plan", m.Do(ctx, t, "sysupdate-image apply --plan "+v2), "conflict  "+conflict)

	m.Do(ctx, t, "sysupdate-image apply --etc-conflicts=keep "+v2)
	// The policy of what is staged can be changed.
	for _, policy := range []string{"fail", "new"} {
		contains(t, "apply once more", m.Do(ctx, t, "sysupdate-image apply --etc-conflicts="+policy+" "+v2), "Nothing to do")
		m.Do(ctx, t, `grep -q '"etc_conflicts":"`+policy+`"' /sysroot/state/sysupdate-image/staged.json`)
	}
	m.Do(ctx, t, "echo late > /etc/late.conf")
}
