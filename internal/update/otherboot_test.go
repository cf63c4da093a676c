package update

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/testing/ns"
)

// A boot partition that is another machine's, or is not mounted, is no reason to
// remove anything, nor to write there.
func TestOtherBoot(t *testing.T) {
	b := newBench(t)
	two := deployment.ID(b.idOf("2"))
	for _, tt := range []struct {
		name    string
		lose    []string // below the root
		running bool
		want    string
	}{
		{"another's", []string{"boot/loader"}, false, "/boot: is the machine's boot partition mounted there?"},
		{"another's, of a machine that never ran", []string{"boot/loader", "boot/sysupdate-image", "state/deploy/*/etc"}, false, "mounted there?"},
		{"not mounted, of a machine that never ran", []string{"boot", "state/deploy/*/etc"}, false, "/boot: is the machine's boot partition mounted there?"},
		{"another's, of a running machine", []string{"boot/loader"}, true, "deployment " + two.Short() + " has no boot entry on "},
	} {
		dir := b.copy()
		for _, name := range tt.lose {
			paths, err := filepath.Glob(filepath.Join(dir, name))
			b.must(err)
			for _, path := range paths {
				b.must(os.RemoveAll(path))
			}
		}
		before := files(t, dir)
		m := b.open(dir, nil)
		if tt.running {
			m.RunAs(two, fstest.MapFS{})
		}
		_, err := m.Prune(context.Background(), false)
		var applyErr error
		b.apply(m, "3", &applyErr)
		for _, err := range []error{err, applyErr} {
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%s: %v; want %q", tt.name, err, tt.want)
			}
		}
		if got := files(t, dir); got != before {
			t.Errorf("%s: removed %q", tt.name, without(before, got))
		}
		b.must(m.Close())
	}
}

// A first apply that was cut off may be tried again: it leaves a deployment that
// never had an entry.
func TestCutOffFirst(t *testing.T) {
	b := newBench(t)
	dir := b.copy()
	b.must(os.RemoveAll(dir + "/boot/loader"))
	paths, err := filepath.Glob(dir + "/state/deploy/*/etc")
	b.must(err)
	for _, path := range paths {
		b.must(os.RemoveAll(path))
	}
	m := b.open(dir, nil)
	if got := b.apply(m, "3", nil); got.Outcome != Published {
		t.Errorf("apply: %s; want %s", got.Outcome, Published)
	}
	b.must(m.Close())
}

// Whose boot entries are lost gets new ones by force, with the kernel arguments that
// the machine runs with: for another image, or for the one that runs.
func TestLostEntries(t *testing.T) {
	ns.Run(t, func(t *testing.T) { // without a systemd that stage could ask
		b := newBench(t)
		two := b.idOf("2")
		for _, tag := range []string{"2", "3"} {
			dir := b.copy()
			b.must(os.RemoveAll(dir + "/boot/loader"))
			m := b.open(dir, nil)
			m.RunAs(deployment.ID(two), fstest.MapFS{
				"proc/cmdline": {Data: []byte("BOOT_IMAGE=/vmlinuz initrd=/initrd root=UUID=1 composefs=?" + two + " quiet\n")},
			})
			o := b.options(tag)
			o.Force = true
			if _, err := m.Apply(context.Background(), o, silent{}); err != nil && !notArmed(err) {
				t.Fatal(err)
			}
			entries, err := m.entries()
			b.must(err)
			if len(entries) != 1 || entries[0].Staged != (tag != "2") || entries[0].Err != nil {
				t.Fatalf("%s: entries %v; want one", tag, entries)
			}
			id := string(entries[0].Target.ID)
			if (id == two) != (tag == "2") {
				t.Errorf("%s: an entry for %s", tag, id)
			}
			if got, want := strings.ReplaceAll(entries[0].Entry.Options, id, "ID"), "root=UUID=1 composefs=?ID quiet"; got != want {
				t.Errorf("%s: options %q; want %q", tag, got, want)
			}
			b.must(m.Close())
		}
	})
}
