package update

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable/durabletest"
	"github.com/sysupdate-image/sysupdate-image/internal/testing/ns"
)

// runAsTwo makes m a machine that runs the image 2.
func (b *bench) runAsTwo(m *Machine) {
	m.RunAs(deployment.ID(b.idIn(m, "2")), os.DirFS("/nowhere"))
	m.etc = deployment.EtcOverlay
}

// stage stages an image on a machine that runs the image 2, and where no systemd
// is asked.
func (b *bench) stage(dir, tag string) {
	b.t.Helper()
	m := b.open(dir, nil)
	b.runAsTwo(m)
	if err := b.applyError(m, tag); !notArmed(err) {
		b.t.Fatalf("apply of %s: %v; want it staged, but not armed", tag, err)
	}
	b.must(m.Close())
}

// notArmed reports whether err is that systemd could not be asked to start finalize.
func notArmed(err error) bool {
	return err != nil && strings.Contains(err.Error(), "staged, but finalize could not be scheduled")
}

// Apply of what is staged sees to it that a shutdown makes it the next, whatever has
// become of it since.
func TestStagedAgain(t *testing.T) {
	ns.Run(t, func(t *testing.T) { // without a systemd that stage could ask
		b := newBench(t)
		for name, tt := range map[string]struct {
			change func(staged string, record *deployment.Staged) // staged is the path of the entry
			arms   bool                                           // what is staged is left as it is
		}{
			"as it was":                   {func(string, *deployment.Staged) {}, true},
			"the entry is lost":           {func(staged string, _ *deployment.Staged) { b.must(os.Remove(staged)) }, false},
			"the entry is half":           {func(staged string, _ *deployment.Staged) { b.must(os.Truncate(staged, 20)) }, false},
			"the entry boots another":     {func(staged string, _ *deployment.Staged) { b.replaceID(staged, "2") }, false},
			"the record has another name": {func(_ string, r *deployment.Staged) { r.Entry = "other.conf" }, false},
			"published": {func(staged string, r *deployment.Staged) {
				r.Published = true
				b.must(os.Rename(staged, strings.TrimSuffix(staged, ".staged")))
			}, true},
			"published, and used up": {func(staged string, r *deployment.Staged) {
				r.Published = true
				b.must(os.Rename(staged, strings.Replace(staged, "+3-0.conf.staged", "+0-3.conf", 1)))
			}, false},
			"published, and lost": {func(staged string, r *deployment.Staged) {
				r.Published = true
				b.must(os.Remove(staged))
			}, false},
		} {
			dir := b.copy()
			b.stage(dir, "3")
			m := b.open(dir, nil)
			b.runAsTwo(m)
			record, err := m.staged()
			b.must(err)
			tt.change(filepath.Join(dir, "boot/loader/entries", record.Entry+".staged"), record)
			b.must(m.writeRecord(*record))
			trace := durabletest.Trace(m.Changes)
			m.Changes = trace
			o := b.options("3")
			o.Force = true // it has failed, if it is used up
			if _, err := m.Apply(t.Context(), o, silent{}); !notArmed(err) {
				t.Errorf("%s: apply again: %v; want systemd to be asked", name, err)
			}
			if arms := trace.String() == ""; arms != tt.arms {
				t.Errorf("%s: left as it is: %v; want %v:\n%s", name, arms, tt.arms, trace)
			}
			if s, err := m.readState(); err != nil || nextServed(s) != record.ID {
				t.Errorf("%s: %q is next then, %v; want %s", name, nextServed(s), err, record.ID)
			}
			b.must(m.Close())
		}
	})
}

// An entry of an earlier time does not stand for one that was published and lost. Of
// such a machine, too, it is known how many deployments are to stay.
func TestPublishedLost(t *testing.T) {
	ns.Run(t, func(t *testing.T) { // without a systemd that stage could ask
		b := newBench(t)
		dir := b.copy()
		b.stage(dir, "1") // which has an entry
		m := b.open(dir, nil)
		defer m.Close()
		record, err := m.staged()
		b.must(err)
		b.must(os.Remove(filepath.Join(dir, "boot/loader/entries", record.Entry+".staged")))
		record.Published = true
		b.must(m.writeRecord(*record))
		if s, err := m.readState(); err != nil || nextServed(s) != "" {
			t.Errorf("%q is next, %v; want nothing to be", nextServed(s), err)
		}
		for _, tag := range []string{"1", "2"} {
			upper := filepath.Join(dir, deployment.ID(b.idOf(tag)).EtcUpper(), "sysupdate-image")
			b.must(os.MkdirAll(upper, 0o755))
			b.must(os.WriteFile(upper+"/update.toml", []byte("keep = 5\n"), 0o644))
		}
		if c, err := m.config(); err != nil || c.keep() != 5 {
			t.Errorf("keep = %d, %v; want 5", c.keep(), err)
		}
	})
}

// replaceID has an entry boot the deployment of another image.
func (b *bench) replaceID(file, version string) {
	b.t.Helper()
	text, err := os.ReadFile(file)
	b.must(err)
	id := regexp.MustCompile("[0-9a-f]{128}")
	b.must(os.WriteFile(file, id.ReplaceAll(text, []byte(b.idOf(version))), 0o644))
}

// What is staged on a machine that does not run is nothing to the one that does.
func TestOthersRecord(t *testing.T) {
	ns.Run(t, func(t *testing.T) { // without a systemd that stage could ask
		b := newBench(t)
		dir := b.copy()
		b.stage(dir, "3")
		m := b.open(dir, nil)
		b.must(m.setEtcPolicy(deployment.ConflictsNew))
		record, err := m.staged()
		if err != nil || record == nil || record.EtcConflicts != deployment.ConflictsNew {
			t.Errorf("the record is %+v, %v; want one with the policy", record, err)
		}
		if _, err := m.Host.Lstat(deployment.RunStaged); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the running machine has a staged record: %v", err)
		}
		b.must(m.Close())
	})
}
