package update

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable/durabletest"
	"github.com/sysupdate-image/sysupdate-image/internal/machine"
	"github.com/sysupdate-image/sysupdate-image/internal/testing/ns"
	"github.com/sysupdate-image/sysupdate-image/internal/testing/sample"
)

func resetNow(m *Machine) error {
	p, err := m.PlanReset(context.Background(), ResetOptions{})
	if err != nil {
		return err
	}
	return m.Reset(context.Background(), p, silent{})
}

func undoReset(m *Machine) error {
	_, err := m.Rollback(context.Background(), "")
	return err
}

func confirmReset(m *Machine) error {
	_, err := m.ConfirmReset(silent{})
	return err
}

// mine returns which states have the local change of a bench, and what the machine knows of a
// reset.
func (b *bench) mine(dir string) (now, other bool, reset machine.Reset) {
	b.t.Helper()
	has := func(below string) bool {
		_, err := os.Stat(filepath.Join(dir, below, deployment.ID(b.idOf("2")).EtcUpper(), "mine"))
		return err == nil
	}
	root, err := os.OpenRoot(dir)
	b.must(err)
	defer root.Close()
	record, err := machine.ResetOf(root.FS())
	b.must(err)
	return has(""), has(deployment.OtherDir), record.Reset
}

// A resetCase is a change that is stopped.
type resetCase struct {
	name        string
	before      []func(*Machine) error
	do          func(*Machine) error
	old, new    machine.Reset
	gone, fresh bool // the other state is no longer there; the state that counts is fresh at the end
}

// TestResetStopped stops each step of a reset, of the way back and forth, and of what confirms
// it. The state that counts is always a whole one, and the other is not lost before it is
// confirmed.
func TestResetStopped(t *testing.T) {
	t.Parallel()
	ns.Run(t, func(t *testing.T) {
		b := newBench(t)
		for _, tt := range []resetCase{
			{"reset", nil, resetNow, machine.NoReset, machine.ResetFresh, false, true},
			{"undo", []func(*Machine) error{resetNow}, undoReset, machine.ResetFresh, machine.ResetUndone, false, false},
			{"redo", []func(*Machine) error{resetNow, undoReset}, undoReset, machine.ResetUndone, machine.ResetFresh, false, true},
			{"confirm", []func(*Machine) error{resetNow}, confirmReset, machine.ResetFresh, machine.NoReset, true, true},
			{"confirm what was undone", []func(*Machine) error{resetNow, undoReset}, confirmReset, machine.ResetUndone, machine.NoReset, true, false},
		} {
			for n := 0; !tt.stopAfter(b, n); n += sample.Stride() {
			}
		}
	})
}

// stopAfter stops the change after n steps, and does it again. It reports whether it came to its
// end the first time.
func (tt resetCase) stopAfter(b *bench, n int) bool {
	t, dir := b.t, b.copy()
	defer os.RemoveAll(dir)
	for _, f := range tt.before {
		m := b.open(dir, nil)
		b.must(errors.Join(f(m), m.Close()))
	}
	wasMine, _, _ := b.mine(dir)
	lock, err := os.Stat(filepath.Join(dir, deployment.LockFile))
	b.must(err)
	m := b.open(dir, durabletest.BriefCrash(n))
	stopped := tt.do(m)
	b.must(m.Close())
	now, other, reset := b.mine(dir)
	switch {
	case reset != tt.old && reset != tt.new, stopped == nil && reset != tt.new:
		t.Errorf("%s: after %d steps the reset is %q (%v)", tt.name, n, reset, stopped)
	case reset == tt.old && now != wasMine, reset == tt.new && now == tt.fresh:
		t.Errorf("%s: after %d steps the state has the change: %t (reset %q)", tt.name, n, now, reset)
	case !tt.gone && now == other && (reset != machine.NoReset || !now):
		t.Errorf("%s: after %d steps the change is in neither state, or in both", tt.name, n)
	}
	m = b.open(dir, nil)
	if _, err := m.Prune(context.Background(), false); err != nil {
		t.Errorf("%s: after %d steps: prune: %v", tt.name, n, err)
	}
	if again, _ := machine.ResetOf(m.Root.FS()); again.Reset == tt.old {
		if err := tt.do(m); err != nil {
			t.Errorf("%s: after %d steps: again: %v", tt.name, n, err)
		}
	}
	b.must(m.Close())
	if now, err := os.Stat(filepath.Join(dir, deployment.LockFile)); err != nil || !os.SameFile(now, lock) {
		t.Errorf("%s: after %d steps the lock is another file (%v)", tt.name, n, err)
	}
	if now, other, _ := b.mine(dir); now == tt.fresh || other == now && !tt.gone {
		t.Errorf("%s: after %d steps and again, the change is here: %t, in the other state: %t", tt.name, n, now, other)
	}
	return stopped == nil
}

// What the fresh state lacks nobody misses: it is that of a machine that was just installed. The
// history follows the commit point.
func TestResetTrace(t *testing.T) {
	ns.Run(t, func(t *testing.T) {
		b := newBench(t)
		trace := durabletest.Trace(nil)
		m := b.open(b.dir, func(changes durable.FS) durable.FS {
			if trace.FS == nil {
				trace = durabletest.Trace(changes)
				return trace
			}
			return changes
		})
		defer m.Close()
		b.must(resetNow(m))
		const history = "state/sysupdate-image/history.jsonl"
		want := "sync .\nmkdir reset\nsync .\nsyncfs\nexchange state reset/state\nsync .\nsync reset\n" +
			"create " + history + ".tmp\nwrite " + history + ".tmp\nsync " + history + ".tmp\n" +
			"rename " + history + ".tmp " + history + "\nsync " + history + "\nsync state/sysupdate-image\n"
		if got := trace.String(); got != want {
			t.Errorf("the steps are\n%s; want\n%s", got, want)
		}
	})
}
