package update

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/records"
	"github.com/sysupdate-image/sysupdate-image/internal/testing/ns"
)

// optionsIn returns the kernel command lines of a deployment's boot entries, the loader's first
// one first.
func (b *bench) optionsIn(m *Machine, id deployment.ID) (all []string) {
	b.t.Helper()
	s, err := m.readState()
	b.must(err)
	for _, f := range s.Files {
		if f.Target.ID == id {
			all = append(all, f.Entry.Options)
		}
	}
	return all
}

// On the running machine, the booted deployment and the staged one get the change, and what is
// staged stays so. The entry before is there to fall back to.
func TestChangeKargs(t *testing.T) {
	ns.Run(t, func(t *testing.T) { // without a systemd that could be asked
		b := newBench(t)
		dir := b.copy()
		b.stage(dir, "3")
		m := b.open(dir, nil)
		defer m.Close()
		b.runAsTwo(m)
		before, err := m.staged()
		b.must(err)
		change, err := m.ChangeKargs(t.Context(), []string{"added=1"}, nil)
		if !notArmed(err) || change.ID != m.Booted || change.Staged != before.ID || len(change.Added) != 1 {
			t.Fatalf("ChangeKargs = %+v, %v; want both changed, and systemd to be asked", change, err)
		}
		after, err := m.staged()
		if err != nil || after == nil || after.ID != before.ID || after.BootID != before.BootID || after.Etc != before.Etc {
			t.Errorf("then %+v is staged, %v; want what was: %+v", after, err, before)
		}
		if s, err := m.readState(); err != nil || nextServed(s) != before.ID {
			t.Errorf("%q is next, %v; want the staged deployment", nextServed(s), err)
		}
		for id, want := range map[deployment.ID]int{m.Booted: 2, before.ID: 1} {
			all := b.optionsIn(m, id)
			if len(all) != want || !strings.Contains(all[0], " added=1") || strings.Contains(all[len(all)-1], "added=1") != (want == 1) {
				t.Errorf("deployment %s has the command lines %q; want %d, of which the first has the argument", id.Short(), all, want)
			}
		}

		// Without anything staged, and removed again.
		_, err = m.unstage()
		b.must(err)
		if change, err = m.ChangeKargs(t.Context(), nil, []string{"added"}); err != nil || change.Staged != "" || len(change.Removed) != 1 {
			t.Errorf("ChangeKargs = %+v, %v; want the argument removed", change, err)
		}
		if got := b.optionsIn(m, m.Booted); strings.Contains(got[0], "added") {
			t.Errorf("the first of %q still has it", got)
		}
	})
}

// Ten changes leave the entry that was booted and the newest one, on the running machine and
// elsewhere, with another deployment to go back to and without, and the history has them.
func TestChangeKargsManyTimes(t *testing.T) {
	ns.Run(t, func(t *testing.T) {
		b := newBench(t)
		for name, make := range map[string]func(*Machine){
			"running": func(m *Machine) { b.runAsTwo(m) },
			"other":   func(*Machine) {},
			"alone": func(m *Machine) {
				_, err := m.Remove(t.Context(), []string{"rollback"})
				b.must(err)
			},
		} {
			m := b.open(b.copy(), nil)
			make(m)
			two := deployment.ID(b.idIn(m, "2"))
			before := b.optionsIn(m, two)
			for i := range 10 {
				_, err := m.ChangeKargs(t.Context(), []string{fmt.Sprintf("n%d", i)}, nil)
				b.must(err)
			}
			after := b.optionsIn(m, two)
			if len(after) != 2 || !strings.Contains(after[0], " n9") || after[1] != before[0] {
				t.Errorf("%s: after ten changes the entries have %q; want the newest, and %q", name, after, before[0])
			}
			h, err := records.LoadHistory(m.Sysroot)
			b.must(err)
			if last := h[len(h)-1]; last.Kind != deployment.EventKargs || last.ID != two || last.Reason != "kernel arguments: +n9" {
				t.Errorf("%s: the last event is %+v; want the change", name, last)
			}
			b.must(m.Close())
		}
	})
}

func TestChangeKargsRefuses(t *testing.T) {
	b := newBench(t)
	dir := b.copy()
	m := b.open(dir, nil)
	defer m.Close()
	two, one := deployment.ID(b.idIn(m, "2")), deployment.ID(b.idIn(m, "1"))
	m.RunAs(one, os.DirFS("/nowhere")) // while 2 is next
	if _, err := m.ChangeKargs(t.Context(), []string{"a"}, nil); err == nil || !strings.Contains(err.Error(), "a rollback is queued") {
		t.Errorf("with a queued rollback: %v", err)
	}
	m.RunAs(two, os.DirFS("/nowhere"))
	for _, bad := range []string{"", " ", "composefs=1", "composefs.digest=1", "--", "a\nb"} {
		if _, err := m.ChangeKargs(t.Context(), []string{bad}, nil); err == nil {
			t.Errorf("%q was added", bad)
		}
	}
	// The kernel arguments of a sealed deployment are not its boot entry's.
	name := filepath.Join(dir, two.OriginFile())
	text, err := os.ReadFile(name)
	b.must(err)
	b.must(os.WriteFile(name, []byte(strings.Replace(string(text), "boot_type=bls", "boot_type=uki", 1)), 0o644))
	_, err = m.ChangeKargs(t.Context(), []string{"a"}, nil)
	if _, ok := errors.AsType[*SealedKargsError](err); !ok {
		t.Errorf("of a sealed deployment: %v; want a SealedKargsError", err)
	}
}
