package update

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/fstest"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
)

// TestRestore: what the running deployment has lost on the boot partition is written again
// when its image is applied, and then there is nothing more to do.
func TestRestore(t *testing.T) {
	b := newBench(t)
	two := deployment.ID(b.idOf("2"))
	run := func(dir string) *Machine {
		m := b.open(dir, nil)
		m.RunAs(two, fstest.MapFS{"proc/cmdline": {Data: []byte("root=UUID=1 composefs=?" + string(two) + "\n")}})
		m.etc = deployment.EtcOverlay
		return m
	}
	for name, lose := range map[string]func(linux, initrd, entry string) error{
		"nothing":   func(string, string, string) error { return nil },
		"kernel":    func(linux, _, _ string) error { return os.Remove(linux) },
		"initramfs": func(_, initrd, _ string) error { return os.Truncate(initrd, 0) },
		"both":      func(linux, _, _ string) error { return os.RemoveAll(filepath.Dir(linux)) },
		"entry":     func(_, _, entry string) error { return os.Remove(entry) },
	} {
		for _, named := range []bool{true, false} {
			dir := b.copy()
			m := run(dir)
			entry := b.entryOf(m, two)
			on := func(path string) string { return filepath.Join(dir, "boot", path) }
			b.must(lose(on(entry.Entry.Linux), on(entry.Entry.Initrds[0]), on("loader/entries/"+entry.File)))
			o := b.options("2")
			if !named {
				o.Reference = ""
			}
			plan, err := m.Plan(t.Context(), o, silent{})
			b.must(err)
			result, err := m.Apply(t.Context(), o, silent{})
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if lost := name != "nothing"; slices.Contains(plan.Steps, StepRestore) != lost || (result.Outcome == Published) != lost || plan.Outcome != result.Outcome {
				t.Errorf("%s: planned %v, %s; came to %s", name, plan.Steps, plan.Outcome, result.Outcome)
			}
			s, err := m.readState()
			b.must(err)
			if first, _ := s.First(); first.Target.ID != two || s.CannotReturn() {
				t.Errorf("%s: %s is next; want %s", name, first.Target.ID.Short(), two.Short())
			}
			plan, err = m.Plan(t.Context(), o, silent{})
			b.must(err)
			if plan.Outcome != AlreadyBooted || len(plan.Steps) > 0 {
				t.Errorf("%s: afterwards the plan is %s, %v; want nothing", name, plan.Outcome, plan.Steps)
			}
			b.must(m.Close())
		}
	}
}

// entryOf returns the boot entry of a deployment.
func (b *bench) entryOf(m *Machine, id deployment.ID) boot.EntryFile {
	b.t.Helper()
	files, err := m.entries()
	b.must(err)
	i := slices.IndexFunc(files, func(f boot.EntryFile) bool { return f.Target.ID == id })
	if i < 0 {
		b.t.Fatalf("no entry of %s", id.Short())
	}
	return files[i]
}
