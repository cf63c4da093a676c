package carry

import (
	"syscall"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/etc/merge"
)

// TestGiveTo gives files to the owners of the same names, or to root, for whom they do not run.
func TestGiveTo(t *testing.T) {
	g := grafter{owners: merge.OwnersOf(
		merge.Accounts{"passwd": []byte("sshd:x:990:990::/:\n")}, merge.Accounts{"passwd": []byte("sshd:x:880:880::/:\n")},
	)}
	const mode = syscall.S_IFREG | syscall.S_ISUID | 0o755
	for uid, want := range map[uint32]tree.Node{990: {UID: 880, Mode: mode}, 880: {UID: 0, Mode: syscall.S_IFREG | 0o755}, 0: {UID: 0, Mode: mode}} {
		n := tree.Node{UID: uid, Mode: mode}
		if g.giveTo(&n, "x"); n.UID != want.UID || n.Mode != want.Mode {
			t.Errorf("a file of %d has owner %d and mode %o; want %d, %o", uid, n.UID, n.Mode, want.UID, want.Mode)
		}
	}
	if len(g.lost) != 1 {
		t.Errorf("%d files have other owners; want 1", len(g.lost))
	}
}
