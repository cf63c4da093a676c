package update

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable/durabletest"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
	"github.com/sysupdate-image/sysupdate-image/internal/testing/ns"
	"github.com/sysupdate-image/sysupdate-image/internal/testing/sample"
)

// twins are two systems made from the same images that share a boot partition.
type twins struct {
	*bench
	dir string // with their roots a and b, and esp
}

func (b *bench) newTwins() twins {
	tw := twins{b, b.t.TempDir()}
	for _, name := range []string{"a", "b", "esp"} {
		b.must(os.Mkdir(filepath.Join(tw.dir, name), 0o755))
	}
	return tw
}

func (tw twins) copy() twins {
	tw.t.Helper()
	dir := tw.t.TempDir()
	if out, err := exec.Command("cp", "-a", tw.dir+"/.", dir).CombinedOutput(); err != nil {
		tw.t.Fatalf("%v\n%s", err, out)
	}
	return twins{tw.bench, dir}
}

// open opens one of the two, with all its changes outside the repository through wrap.
func (tw twins) open(name string, wrap func(durable.FS) durable.FS) *Machine {
	tw.t.Helper()
	m, err := OpenNew(PlaceOf(tw.t, filepath.Join(tw.dir, name)), tw.dir+"/esp", func(err error) { tw.t.Log(err) })
	tw.must(err)
	if wrap != nil {
		m.Changes = wrap(m.Changes)
		m.Boot.Through(wrap)
	}
	return m
}

func (tw twins) applyTo(name, tag string, wrap func(durable.FS) durable.FS) error {
	tw.t.Helper()
	m := tw.open(name, wrap)
	defer m.Close()
	o := tw.options(tag)
	o.Kargs = []string{"root=UUID=" + name}
	_, err := m.Apply(context.Background(), o, silent{})
	return err
}

// bless makes good what is on trial.
func (tw twins) bless() {
	tw.t.Helper()
	files, err := filepath.Glob(tw.dir + "/esp/loader/entries/*+*.conf")
	tw.must(err)
	for _, file := range files {
		base, _, _ := strings.Cut(file, "+")
		tw.must(os.Rename(file, base+".conf"))
	}
}

// entries returns the entries of the root with a name, each with its content. It is an error if
// a kernel of one is missing.
func (tw twins) entries(name string) string {
	tw.t.Helper()
	files, err := filepath.Glob(tw.dir + "/esp/loader/entries/*.conf")
	tw.must(err)
	all := ""
	for _, file := range files {
		text, err := os.ReadFile(file)
		tw.must(err)
		if !strings.Contains(string(text), "root=UUID="+name) {
			continue
		}
		all += filepath.Base(file) + "\n" + string(text)
		for line := range strings.Lines(string(text)) {
			if key, path, _ := strings.Cut(strings.TrimSpace(line), " "); key == "linux" || key == "initrd" {
				if info, err := os.Stat(tw.dir + "/esp" + path); err != nil || info.Size() == 0 {
					tw.t.Errorf("%s of %s is missing: %v", key, filepath.Base(file), err)
				}
			}
		}
	}
	return all
}

// whose returns how one of the two sees the entries, in the loader's order: the version, and
// "-" before it if the entry is foreign.
func (tw twins) whose(name string) string {
	tw.t.Helper()
	root, err := os.OpenRoot(filepath.Join(tw.dir, name))
	tw.must(err)
	defer root.Close()
	p, err := boot.OpenDir(tw.dir + "/esp")
	tw.must(err)
	defer p.Close()
	files, err := p.Of(nil, root, nil).Entries()
	tw.must(err)
	var all []string
	for _, f := range files {
		mark := ""
		if f.Foreign {
			mark = "-"
		}
		all = append(all, mark+strings.TrimSuffix(strings.TrimPrefix(f.Entry.Title, "OS ("), ")"))
	}
	return strings.Join(all, " ")
}

// Of two systems that were made from the same images and share a boot partition, neither
// does anything to the other's entries and kernels, and each keeps its own root=.
func TestSharedBoot(t *testing.T) {
	b := newBench(t)
	for _, names := range [][2]string{{"a", "b"}, {"b", "a"}} {
		tw := b.newTwins()
		stays, changes := names[0], names[1]
		b.must(tw.applyTo(stays, "1", nil))
		before := tw.entries(stays)
		check := func(what, ours, theirs string) {
			t.Helper()
			if got := tw.entries(stays); got != before {
				t.Errorf("after %s the entries of %s are\n%swant\n%s", what, stays, got, before)
			}
			if got := tw.whose(stays); got != theirs {
				t.Errorf("after %s, %s has %q; want %q", what, stays, got, theirs)
			}
			if got := tw.whose(changes); got != ours {
				t.Errorf("after %s, %s has %q; want %q", what, changes, got, ours)
			}
			if got := tw.entries(changes); strings.Contains(got, "root=UUID="+stays) || got == "" {
				t.Errorf("after %s the entries of %s are\n%s", what, changes, got)
			}
		}
		b.must(tw.applyTo(changes, "1", nil))
		check("install", "1 -1", "-1 1")
		b.must(tw.applyTo(changes, "2", nil))
		tw.bless()
		check("update", "2 1 -1", "-2 -1 1")
		b.must(tw.applyTo(changes, "3", nil))
		tw.bless()
		m := tw.open(changes, nil)
		_, err := m.Prune(context.Background(), false)
		b.must(err)
		check("prune", "3 2 -1", "-3 -2 1")
		_, err = m.Rollback(context.Background(), "")
		b.must(err)
		check("rollback", "2 3 -1", "-2 -3 1")
		_, err = m.Remove(context.Background(), []string{"rollback"})
		b.must(err)
		b.must(m.Close())
		check("rm", "2 -1", "-2 1")
		// Now the one that stayed does the same, down to the same deployment.
		stays, changes, before = changes, stays, tw.entries(changes)
		b.must(tw.applyTo(changes, "2", nil))
		tw.bless()
		check("an update of the other", "2 -2 1", "-2 2 -1")
		m = tw.open(changes, nil)
		_, err = m.Remove(context.Background(), []string{"rollback"})
		b.must(err)
		b.must(m.Close())
		check("rm of the other", "2 -2", "-2 2")
		tw.checkRecords()
	}
}

// checkRecords checks that each entry is recorded by one of the two, and nothing else is.
func (tw twins) checkRecords() {
	tw.t.Helper()
	var want, got []string
	files, err := filepath.Glob(tw.dir + "/esp/loader/entries/*")
	tw.must(err)
	for _, file := range files {
		base, _, _ := strings.Cut(strings.TrimSuffix(filepath.Base(file), ".conf"), "+")
		want = append(want, base)
	}
	for _, name := range []string{"a", "b"} {
		text, err := os.ReadFile(filepath.Join(tw.dir, name, deployment.EntriesRecord))
		tw.must(err)
		got = append(got, strings.Fields(string(text))...)
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		tw.t.Errorf("recorded: %q\nwant: %q", got, want)
	}
}

// An update that is stopped after any step leaves the other system's entries and kernels as
// they are, even while both have the same deployments, and leaves nothing that is not
// cleaned up later.
func TestSharedBootStopped(t *testing.T) {
	t.Parallel()
	ns.Run(t, func(t *testing.T) { // a fork of another test would hold its locks
		b := newBench(t)
		seed := b.newTwins()
		for _, step := range []struct{ name, tag string }{{"a", "1"}, {"a", "2"}, {"b", "1"}} {
			b.must(seed.applyTo(step.name, step.tag, nil))
			seed.bless()
		}
		before := seed.entries("a")
		for n := 0; ; n += sample.Stride() {
			tw := seed.copy()
			err := tw.applyTo("b", "2", durabletest.BriefCrash(n))
			if got := tw.entries("a"); got != before {
				t.Errorf("after %d steps the entries of the other are\n%s\nwant\n%s", n, got, before)
			}
			if again := tw.applyTo("b", "2", nil); again != nil {
				t.Errorf("after %d steps: again: %v", n, again)
			}
			tw.bless()
			for _, name := range []string{"b", "a"} {
				m := tw.open(name, nil)
				_, err := m.Prune(context.Background(), false)
				b.must(err)
				b.must(m.Close())
			}
			if got := tw.entries("a"); got != before {
				t.Errorf("after %d steps and again the entries of the other are\n%s\nwant\n%s", n, got, before)
			}
			if got, want := tw.whose("b"), "2 1 -2 -1"; got != want {
				t.Errorf("after %d steps and again the entries are %q; want %q", n, got, want)
			}
			tw.checkRecords()
			b.must(os.RemoveAll(tw.dir))
			if err == nil {
				break
			}
		}
	})
}

// A machine that earlier versions installed gets its record by the next change. What could
// be another system's is left out: then there is none until it can be told.
func TestRecordOfEarlier(t *testing.T) {
	b := newBench(t)
	prune := func(m *Machine) error { _, err := m.Prune(context.Background(), false); return err }
	rollback := func(m *Machine) error { _, err := m.Rollback(context.Background(), ""); return err }
	for _, tt := range []struct {
		name   string
		theirs bool
		do     func(*Machine) error
		want   string // the numbers of the entries that are recorded; "none" if there is no record
	}{
		{"apply", false, func(m *Machine) error { return b.applyError(m, "3") }, "1 2 3"},
		{"prune", false, prune, "1 2"},
		{"dry run", false, func(m *Machine) error { _, err := m.Prune(context.Background(), true); return err }, "none"},
		{"rollback", false, rollback, "1 2 3"},
		{"beside another", true, rollback, "none"},
	} {
		dir := b.copy()
		b.must(os.Remove(filepath.Join(dir, deployment.EntriesRecord)))
		if tt.theirs {
			old := fmt.Sprintf("%s/boot/loader/entries/sysupdate-image-000001-%s.conf", dir, b.idOf("1")[:12])
			text, err := os.ReadFile(old)
			b.must(err)
			theirs := strings.Replace(string(text), "options ", "options root=UUID=theirs ", 1)
			b.must(os.WriteFile(strings.Replace(old, "000001", "000000", 1), []byte(theirs), 0o644))
		}
		m := b.open(dir, nil)
		if err := tt.do(m); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		b.must(m.Close())
		text, err := os.ReadFile(filepath.Join(dir, deployment.EntriesRecord))
		got := "none"
		if err == nil {
			got = ""
			for base := range strings.FieldsSeq(string(text)) {
				got += " " + strings.TrimLeft(strings.Split(base, "-")[2], "0")
			}
			got = got[min(1, len(got)):]
		}
		if got != tt.want {
			t.Errorf("%s: recorded %q; want %q", tt.name, got, tt.want)
		}
	}
}
