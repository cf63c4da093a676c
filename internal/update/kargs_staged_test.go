package update

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable/durabletest"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/records"
	"github.com/sysupdate-image/sysupdate-image/internal/testing/ns"
)

// held returns a machine that runs the image 2, and has 3 staged, and locked or not.
func (b *bench) held(locked bool) string {
	b.t.Helper()
	dir := b.copy()
	m := b.open(dir, nil)
	b.runAsTwo(m)
	o := b.options("3")
	o.DownloadOnly = locked
	if _, err := m.Apply(b.t.Context(), o, silent{}); err != nil && !notArmed(err) {
		b.t.Fatal(err)
	}
	b.must(m.Close())
	return dir
}

// stopped stops change after each number of steps, on machines like before that run the image 2,
// and looks at each as it is after a power cut.
func (b *bench) stopped(before string, change func(*Machine) error, look func(steps int, m *Machine)) {
	b.t.Helper()
	done := false
	for n := 0; !done; n++ {
		dir := b.t.TempDir()
		b.must(os.CopyFS(dir, os.DirFS(before)))
		m := b.open(dir, durabletest.BriefCrash(n))
		b.runAsTwo(m)
		done = change(m) == nil
		b.must(m.Close())

		m = b.open(dir, nil)
		b.runAsTwo(m)
		look(n, m)
		b.must(m.Close())
	}
}

// A change of the kernel arguments that stops after any step leaves what is staged staged, and
// locked if it was, and gets through the next time.
func TestChangeKargsKeepsStaged(t *testing.T) {
	ns.Run(t, func(t *testing.T) { // without a systemd that could be asked
		b := newBench(t)
		change := func(m *Machine) error {
			_, err := m.ChangeKargs(context.Background(), []string{"added=1"}, nil)
			if notArmed(err) {
				err = nil
			}
			return err
		}
		for _, locked := range []bool{true, false} {
			b.stopped(b.held(locked), change, func(n int, m *Machine) {
				b.wantStaged(m, locked)
				if err := change(m); err != nil {
					t.Errorf("after %d steps: again: %v", n, err)
				}
				b.wantStaged(m, locked)
				record, err := m.staged()
				b.must(err)
				if record == nil {
					t.Fatalf("after %d steps: nothing is staged", n)
				}
				for _, id := range []deployment.ID{record.ID, m.Booted} {
					if all := b.optionsIn(m, id); !strings.Contains(all[0], " added=1") {
						t.Errorf("after %d steps: %s boots with %q; want the argument", n, id.Short(), all)
					}
				}
			})
		}
	})
}

// What only the staged deployment has is not said to be nothing to do.
func TestChangeKargsOfStaged(t *testing.T) {
	ns.Run(t, func(t *testing.T) {
		b := newBench(t)
		m := b.open(b.held(true), nil)
		defer m.Close()
		b.runAsTwo(m)
		record, err := m.staged()
		b.must(err)
		name := filepath.Join(m.Root.Name(), "boot/loader/entries", record.Entry+".staged")
		text, err := os.ReadFile(name)
		b.must(err)
		b.must(os.WriteFile(name, []byte(strings.Replace(string(text), "composefs=", "new composefs=", 1)), 0o644))
		if _, err := m.ChangeKargs(t.Context(), nil, []string{"new"}); err == nil || !strings.Contains(err.Error(), "only the staged deployment") {
			t.Errorf("removing what only the staged deployment has: %v; want that", err)
		}
		if _, err := m.ChangeKargs(t.Context(), nil, []string{"neither"}); err != nil {
			t.Errorf("removing what neither has: %v", err)
		}
		b.wantStaged(m, true)
	})
}

// What somebody has made the next to boot stays so: a queued rollback, also beside a locked
// update, and what bootc has staged.
func TestChangeKargsLeavesNext(t *testing.T) {
	ns.Run(t, func(t *testing.T) {
		b := newBench(t)
		dir := b.copy()
		m := b.open(dir, nil)
		defer m.Close()
		b.runAsTwo(m)
		_, err := m.Rollback(t.Context(), "")
		b.must(err)
		o := b.options("3")
		o.DownloadOnly = true
		_, err = m.Apply(t.Context(), o, silent{})
		b.must(err)
		s, err := m.readState()
		b.must(err)
		one := deployment.ID(b.idIn(m, "1"))
		if s.Next() != one || !s.RollbackQueued() {
			t.Fatalf("%s is next, a rollback is queued: %v; want the image 1, as queued", s.Next().Short(), s.RollbackQueued())
		}
		if _, err := m.ChangeKargs(t.Context(), []string{"a"}, nil); err == nil || !strings.Contains(err.Error(), "a rollback is queued") {
			t.Errorf("with a rollback and a locked update: %v; want that a rollback is queued", err)
		}
		if s, err := m.readState(); err != nil || s.Next() != one {
			t.Errorf("then %s is next, %v; want the image 1", s.Next().Short(), err)
		}

		b.must(m.Root.Remove(deployment.StagedRecord))
		_, err = m.Rollback(t.Context(), "booted")
		b.must(err)
		b.must(records.StoreRunStaged(durable.OS(m.Host), deployment.Staged{ID: one}))
		m.RunAs(m.Booted, m.Host.FS())
		if _, err := m.ChangeKargs(t.Context(), []string{"a"}, nil); err == nil || !strings.Contains(err.Error(), "bootc has staged") {
			t.Errorf("with an update that bootc has staged: %v; want that", err)
		}
		if _, err := records.LoadRunStaged(m.Host.FS()); err != nil {
			t.Errorf("what bootc has staged is lost: %v", err)
		}
	})
}

// An apply that stops after any step leaves the update that was held back staged and locked,
// or has the new one in its place.
func TestReplaceLocked(t *testing.T) {
	ns.Run(t, func(t *testing.T) { // without a systemd that could be asked
		b := newBench(t)
		writeImage(t, b.layout, "4", "4")
		apply := func(m *Machine) error {
			err := b.applyError(m, "4")
			if notArmed(err) {
				err = nil
			}
			return err
		}
		b.stopped(b.held(true), apply, func(n int, m *Machine) {
			record, err := m.staged()
			b.must(err)
			if record == nil {
				t.Fatalf("after %d steps: nothing is staged", n)
			}
			b.wantStaged(m, record.FinalizationLocked)
			if is4 := m.State().Origins[record.ID].Version == "4"; is4 == record.FinalizationLocked {
				t.Errorf("after %d steps: the staged deployment is the image 4: %v, and locked: %v", n, is4, record.FinalizationLocked)
			}
		})
	})
}

// wantStaged wants the image 3 to be staged in such a way that finalize can publish it.
func (b *bench) wantStaged(m *Machine, locked bool) {
	b.t.Helper()
	s, err := m.readState()
	b.must(err)
	if s.Staged == nil || s.Staged.FinalizationLocked != locked || nextServed(s) != s.Staged.ID {
		b.t.Errorf("%+v is staged, and %q served; want a deployment with its entry, locked %v", s.Staged, nextServed(s), locked)
		return
	}
	after := s
	after.Staged.FinalizationLocked = false
	if next := after.Next(); next != s.Staged.ID {
		b.t.Errorf("%s would boot once it is published; want %s", next.Short(), s.Staged.ID.Short())
	}
	s.Staged.FinalizationLocked = locked
}
