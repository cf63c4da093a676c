package update

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable/durabletest"
	"github.com/sysupdate-image/sysupdate-image/internal/testing/ns"
)

// scrap makes what crashes, other programs and failing disks leave on a machine,
// of which prune knows that nothing needs it.
func (b *bench) scrap(dir string) {
	b.t.Helper()
	orphan, one := deployment.ID(strings.Repeat("0", 128)), b.idOf("1")
	for name, content := range map[string]string{
		// State without an entry, and entries with nothing but that.
		orphan.OriginFile(): "[origin]\n", orphan.EtcUpper() + "/x": "x",
		deployment.DeployDir + "/" + strings.Repeat("1", 128) + "/x": "", deployment.DeployDir + "/" + strings.Repeat("2", 128) + "/x": "",
		deployment.DeployDir + "/" + strings.Repeat("3", 128) + "/x":       "",
		"boot/loader/entries/sysupdate-image-000009-000000000000+0-3.conf": "title x\nsort-key sysupdate-image\nlinux /sysupdate-image/k/vmlinuz\noptions composefs=" + strings.Repeat("1", 128) + "\n",
		"boot/loader/entries/bootc_os-1-1.conf":                            "title x\nversion 1\nsort-key zz\nlinux /EFI/Linux/bootc_composefs-1/vmlinuz\noptions composefs=" + strings.Repeat("2", 128) + "\n",
		// A staged entry without a record, half of one, and what makes a directory large.
		"boot/loader/entries/sysupdate-image-000010-333333333333+3-0.conf.staged": "title x\nlinux /sysupdate-image/k/vmlinuz\noptions composefs=" + strings.Repeat("3", 128) + "\n",
		"boot/loader/entries/sysupdate-image-000011-333333333333+3-0.conf.staged": "tit",
		"boot/loader/entries/sysupdate-image-fill-001-xxxxx":                      "",
		// Kernels that no entry names, and that the machine has recorded.
		"boot/sysupdate-image/k/vmlinuz": "k", "boot/sysupdate-image/.tmp-1/vmlinuz": "k", "boot/EFI/Linux/bootc_composefs-9/vmlinuz": "k",
		// Files that were being written.
		"state/sysupdate-image/staged.json.tmp": "x", "state/deploy/" + one + "/" + one + ".origin.tmp": "x",
		"state/deploy/" + one + "/etc.tmp/x": "x",
	} {
		path := filepath.Join(dir, name)
		b.must(os.MkdirAll(filepath.Dir(path), 0o755))
		b.must(os.WriteFile(path, []byte(content), 0o644))
	}
	m := b.open(dir, nil)
	have, err := m.Ledger().Kernels()
	b.must(err)
	b.must(m.Ledger().SetKernels(append(have, "sysupdate-image/k", "sysupdate-image/.tmp-1", "EFI/Linux/bootc_composefs-9")))
	entries, err := os.ReadFile(filepath.Join(dir, deployment.EntriesRecord))
	b.must(err)
	b.must(m.Ledger().SetEntries(append(strings.Fields(string(entries)), "sysupdate-image-000009-000000000000",
		"sysupdate-image-000010-333333333333", "sysupdate-image-000011-333333333333")))
	b.must(m.Close())
}

// Prune removes what belongs to nobody and leaves the rest as it was, also when
// it was stopped after any step of it before.
func TestPruneScrap(t *testing.T) {
	t.Parallel()
	ns.Run(t, func(t *testing.T) { // a fork of another test would hold its locks
		b := newBench(t)
		want := files(t, b.dir)
		for n := 0; ; n++ {
			dir := b.copy()
			b.scrap(dir)
			m := b.open(dir, durabletest.BriefCrash(n))
			_, err := m.Prune(context.Background(), false)
			b.must(m.Close())
			m = b.open(dir, nil)
			plan, err2 := m.Prune(context.Background(), true)
			b.must(err2)
			_, err2 = m.Prune(context.Background(), false)
			b.must(errors.Join(err2, m.Close()))
			// Directories that are empty, such as those of bootc, harm nobody.
			for _, name := range []string{"boot/EFI/Linux", "boot/EFI"} {
				if os.Remove(filepath.Join(dir, name)) != nil {
					t.Errorf("after %d steps: %s is not empty", n, name)
				}
			}
			if got := files(t, dir); got != want {
				t.Errorf("after %d steps and again there is %q too many, and %q is missing", n, without(got, want), without(want, got))
			}
			if n == 0 && len(plan.BootFiles) != 8 {
				t.Errorf("a dry run would remove %q from the boot partition; want 8 paths", plan.BootFiles)
			}
			b.must(os.RemoveAll(dir))
			if err == nil {
				return
			}
		}
	})
}

// What is odd or lost keeps nothing else from being pruned, and nothing that is
// needed goes because of it.
func TestPruneOdd(t *testing.T) {
	b := newBench(t)
	one, two := deployment.ID(b.idOf("1")), deployment.ID(b.idOf("2"))
	object := func(dir string, id deployment.ID) string {
		d, err := id.Digest()
		b.must(err)
		return filepath.Join(dir, deployment.RepositoryDir, "objects", d.ObjectPath())
	}
	tests := []struct {
		name string
		harm func(dir string)
		kept []deployment.ID
		warn string
	}{
		{"an invalid origin", func(dir string) {
			b.must(os.WriteFile(filepath.Join(dir, two.OriginFile()), []byte("\x00\x01"), 0o644))
		}, []deployment.ID{two, one}, "the layers of all images stay"},
		{"no origin", func(dir string) { b.must(os.Remove(filepath.Join(dir, one.OriginFile()))) }, []deployment.ID{two, one}, ""},
		{"no state", func(dir string) { b.must(os.RemoveAll(filepath.Join(dir, two.Dir()))) }, []deployment.ID{two, one}, ""},
		{"an invalid staged record", func(dir string) {
			b.must(os.MkdirAll(filepath.Join(dir, deployment.StateDir), 0o755))
			b.must(os.WriteFile(filepath.Join(dir, deployment.StagedRecord), []byte("{"), 0o644))
		}, []deployment.ID{two, one}, "nothing counts as staged"},
		{"no image of what boots next", func(dir string) { b.must(os.Remove(object(dir, two))) }, []deployment.ID{two, one}, "is missing or damaged"},
		{"no image of the rollback", func(dir string) { b.must(os.Remove(object(dir, one))) }, []deployment.ID{two}, ""},
		{"a pin of nothing", func(dir string) {
			pin := filepath.Join(dir, deployment.ID(strings.Repeat("0", 128)).PinFile())
			b.must(os.MkdirAll(filepath.Dir(pin), 0o755))
			b.must(os.WriteFile(pin, nil, 0o644))
		}, []deployment.ID{two, one}, "deployment 000000000000 is missing or damaged"},
		{"no streams", func(dir string) {
			links, err := filepath.Glob(dir + "/composefs/streams/oci-*")
			b.must(err)
			for _, link := range links {
				b.must(os.Remove(link))
			}
		}, []deployment.ID{two, one}, ""},
	}
	for _, tt := range tests {
		dir := b.copy()
		b.scrap(dir)
		tt.harm(dir)
		var warned strings.Builder
		m, err := Open(PlaceOf(t, dir), func(err error) { warned.WriteString(err.Error() + "\n") })
		b.must(err)
		report, err := m.Prune(context.Background(), false)
		b.must(m.Close())
		if err != nil || !strings.Contains(warned.String(), tt.warn) {
			t.Errorf("%s: Prune: %v, warned %q; want %q", tt.name, err, warned.String(), tt.warn)
		}
		for _, id := range tt.kept {
			if !strings.Contains(files(t, dir+"/boot"), id.Short()) {
				t.Errorf("%s: %s has no entry any more", tt.name, id.Short())
			}
			if _, err := os.Stat(object(dir, id)); err != nil && !strings.Contains(tt.name, "no image") {
				t.Errorf("%s: the image of %s is gone: %v", tt.name, id.Short(), err)
			}
		}
		if len(report.Deployments) != 4 && len(tt.kept) == 2 && !strings.Contains(tt.name, "pin") {
			t.Errorf("%s: %d deployments went; want the 4 of which there is nothing but scrap", tt.name, len(report.Deployments))
		}
		if left := files(t, dir); strings.Contains(left, ".tmp") || strings.Contains(left, "fill-") {
			t.Errorf("%s: something that was being written is left", tt.name)
		}
		b.must(os.RemoveAll(dir))
	}
}

// The error for a full boot partition names the deployment that takes up the room.
func TestAdviseRoom(t *testing.T) {
	b := newBench(t)
	m := b.open(b.dir, nil)
	defer m.Close()
	full := errors.New("no room on /boot")
	err := m.adviseRoom(full)
	if one := b.idIn(m, "1"); !errors.Is(err, full) || !strings.HasSuffix(err.Error(), "; deployment "+one[:12]+" is kept to roll back to") {
		t.Errorf("adviseRoom = %v; want it to name %s", err, one[:12])
	}
	if _, err := m.Pin("rollback", ""); err != nil {
		t.Fatal(err)
	}
	if err := m.adviseRoom(full); err != full {
		t.Errorf("adviseRoom with a pinned rollback = %v", err)
	}
}

// TestLostEntry: a deployment whose boot entry somebody removed stays with its /etc when
// another image is applied, and goes by a prune.
func TestLostEntry(t *testing.T) {
	b := newBench(t)
	one := deployment.ID(b.idOf("1"))
	lose := func(dir string) {
		list, err := filepath.Glob(filepath.Join(dir, "boot/loader/entries/*"+string(one[:12])+"*"))
		b.must(err)
		if len(list) != 1 {
			t.Fatalf("entries of 1: %v; want one", list)
		}
		b.must(os.Remove(list[0]))
	}
	for name, tt := range map[string]struct {
		before func(dir string)
		kept   bool
	}{
		"with its entry": {func(string) {}, false},
		"without":        {lose, true},
		"without, and never booted": {func(dir string) {
			lose(dir)
			b.must(os.RemoveAll(filepath.Join(dir, one.EtcUpper())))
		}, false},
		"without, and without its image": {func(dir string) {
			lose(dir)
			b.must(os.Remove(filepath.Join(dir, deployment.RepositoryDir, "images", string(one))))
		}, false},
	} {
		dir := b.copy()
		tt.before(dir)
		m := b.open(dir, nil)
		var warned strings.Builder
		m.warn = func(err error) { warned.WriteString(err.Error() + "\n") }
		plan, err := m.Plan(t.Context(), b.options("3"), silent{})
		b.must(err)
		b.apply(m, "3", nil)
		BlessAll(t, dir)
		result := b.apply(m, "3", nil)
		_, err = os.Stat(filepath.Join(dir, one.EtcUpper(), "mine"))
		if kept := err == nil; kept != tt.kept || kept != strings.Contains(warned.String(), "deployment "+one.Short()+" has no boot entry any more; keeping it and its /etc") {
			t.Errorf("%s: kept %v, removed %v, warned %q; want it kept: %v", name, kept, result.Removed, warned.String(), tt.kept)
		}
		if tt.kept && slices.Contains(idsOf(plan.Remove), one) {
			t.Errorf("%s: the plan has its removal", name)
		}
		report, err := m.Prune(t.Context(), false)
		b.must(errors.Join(err, m.Close()))
		if slices.Contains(report.Deployments, one) != tt.kept {
			t.Errorf("%s: pruned %v", name, report.Deployments)
		}
	}
}
