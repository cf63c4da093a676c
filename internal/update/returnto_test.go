package update

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable/durabletest"
	"github.com/sysupdate-image/sysupdate-image/internal/machine"
	"github.com/sysupdate-image/sysupdate-image/internal/testing/ns"
)

// TestReturnAfterUpdate returns to the state before a reset after an update, stopped after every
// third step: the new deployment has a state there too, with that one's changes to /etc.
func TestReturnAfterUpdate(t *testing.T) {
	t.Parallel()
	ns.Run(t, func(t *testing.T) {
		b := newBench(t)
		m := b.open(b.dir, nil)
		b.must(resetNow(m))
		three := b.apply(m, "3", nil).ID
		b.must(m.Close())
		BlessAll(t, b.dir)
		for n, done := 0, false; !done; n += 3 {
			dir := b.copy()
			m := b.open(dir, durabletest.Crash(n))
			done = undoReset(m) == nil
			b.must(m.Close())
			if _, _, reset := b.mine(dir); reset == machine.ResetFresh {
				m = b.open(dir, nil)
				b.must(errors.Join(undoReset(m), m.Close()))
			}
			for _, name := range []string{three.OriginFile(), three.EtcUpper() + "/mine", three.Var()} {
				if _, err := os.Lstat(filepath.Join(dir, name)); err != nil {
					t.Errorf("after %d steps: %v", n, err)
				}
			}
			m = b.open(dir, nil)
			if s, err := m.readState(); err != nil || len(s.Problems) > 0 {
				t.Errorf("after %d steps: problems %v, %v", n, s.Problems, err)
			}
			b.must(errors.Join(m.Close(), os.RemoveAll(dir)))
		}
	})
}

// TestReturnTries has the state that counts tell how often a deployment may be tried by now, and
// not when the reset was made.
func TestReturnTries(t *testing.T) {
	ns.Run(t, func(t *testing.T) {
		b := newBench(t)
		m := b.open(b.dir, nil)
		defer m.Close()
		two := deployment.ID(b.idIn(m, "2"))
		b.must(m.Root.WriteFile(two.AttemptsFile(), []byte("of the trial"), 0o644))
		b.must(resetNow(m))
		b.must(m.Root.Remove(two.AttemptsFile()))
		b.must(undoReset(m))
		if data, err := m.Root.ReadFile(two.AttemptsFile()); err == nil {
			t.Errorf("what was counted before the reset is back: %q", data)
		}
	})
}

// TestConfirmInUse refuses to remove the state that the running system uses until the next boot.
func TestConfirmInUse(t *testing.T) {
	ns.Run(t, func(t *testing.T) {
		b := newBench(t)
		m := b.open(b.dir, nil)
		defer m.Close()
		two := deployment.ID(b.idIn(m, "2"))
		m.RunAs(two, fstest.MapFS{"proc/cmdline": {Data: []byte("composefs=" + string(two) + "\n")}, "proc/self/mountinfo": {}})
		m.etc = deployment.EtcOverlay
		b.must(resetNow(m))
		for _, again := range []bool{false, true} {
			if again {
				b.must(undoReset(m))
			}
			if err := confirmReset(m); !errors.Is(err, ErrResetInUse) {
				t.Errorf("confirming gives %v; want %v", err, ErrResetInUse)
			}
		}
		record := []byte("fresh 2026-01-02T03:04:05Z 01234567-89ab-cdef-0123-456789abcdef\n")
		b.must(m.Root.WriteFile(deployment.ResetRecord, record, 0o644))
		b.must(confirmReset(m))
	})
}
