package machines

import (
	"context"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/testing/vm"
)

// overlaysUsr puts a read-only overlay on /usr, which one mount namespace makes writable
// for itself, and then one that all can write to. The system that is booted next must not
// have what was written.
func overlaysUsr(ctx context.Context, t *testing.T, m *vm.Machine) {
	t.Helper()
	const command = "sysupdate-image usr-overlay"
	contains(t, "usr-overlay of another user",
		m.Fails(ctx, t, 1, "setpriv --reuid=65534 --regid=65534 --clear-groups "+command), "must be run as root")
	m.Do(ctx, t, "touch /run/file && mount --bind /run/file /usr/share/test-machine/only-in-1")
	contains(t, "usr-overlay", m.Do(ctx, t, command+" --read-only"), "Mounted a read-only overlay on /usr.")
	contains(t, "touch", m.Fails(ctx, t, 1, "touch /usr/share/tried"), "Read-only file system")
	m.Do(ctx, t, `set -e
unshare --mount sh -ec 'mount -o remount,bind,rw /usr && echo tried > /usr/share/tried'
test "$(cat /usr/share/tried)" = tried
test ! -s /usr/share/test-machine/only-in-1`)
	contains(t, "touch", m.Fails(ctx, t, 1, "touch /usr/x"), "Read-only file system")
	contains(t, "status", m.Do(ctx, t, "sysupdate-image status"), "Note: a read-only overlay is on /usr until the next boot")
	contains(t, "usr-overlay once more", m.Do(ctx, t, command), "Nothing to do: a read-only overlay is already mounted on /usr.")

	m.Do(ctx, t, "umount /usr/share/test-machine/only-in-1 && umount --lazy /usr && test ! -e /usr/share/tried && umount /usr/share/test-machine/only-in-1")
	contains(t, "usr-overlay", m.Do(ctx, t, command), "Mounted a writable overlay on /usr.")
	m.Do(ctx, t, "echo tried > /usr/share/tried && rm /usr/share/test-machine/only-in-1")
	contains(t, "status", m.Do(ctx, t, "sysupdate-image status"), "Note: /usr is writable until the next boot")
	contains(t, "status", m.Do(ctx, t, "sysupdate-image status --json"), `"accessMode": "readWrite"`, `"persistence": "transient"`)
	contains(t, "usr-overlay once more", m.Do(ctx, t, command), "Nothing to do: a writable overlay is already mounted on /usr.")
}
