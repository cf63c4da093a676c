package boot

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/format/grubenv"
	"github.com/sysupdate-image/sysupdate-image/internal/format/grubscript"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable/durabletest"
)

// withGRUB returns a boot partition that GRUB boots from, with entry a, and its directory.
func withGRUB(t *testing.T) (*Partition, string) {
	t.Helper()
	dir := machineWith(t)
	p := open(t, dir, nil)
	if err := p.UseGRUB(); err != nil {
		t.Fatal(err)
	}
	if err := p.WriteFile(GRUBConfig, []byte("# test\n")); err != nil {
		t.Fatal(err)
	}
	name, err := p.StageEntry(entryFor("a"))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Publish(name); err != nil {
		t.Fatal(err)
	}
	return open(t, dir, nil), dir
}

// counted writes the environment block as GRUB does when it has counted a boot.
func counted(t *testing.T, dir, trial string, left int) {
	t.Helper()
	block, err := grubenv.Set(grubenv.Empty(), envTrial, trial)
	if err == nil {
		block, err = grubenv.Set(block, envLeft, fmt.Sprint(left))
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, GRUBEnv), block, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// What GRUB has counted shows in the entries, and a new entry begins anew, also under a name
// that was counted before.
func TestGRUBCounts(t *testing.T) {
	p, dir := withGRUB(t)
	const trial = "sysupdate-image-000002-b00000000000+3-0"
	counted(t, dir, trial, 0) // of an entry that is gone
	name, err := p.StageEntry(entryFor("b"))
	if err != nil || name != trial+".conf" {
		t.Fatalf("StageEntry = %q, %v; want %s.conf", name, err, trial)
	}
	if err := p.Publish(name); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ set, left, done, wantLeft, wantDone int }{{-1, 0, 0, 3, 0}, {2, 0, 0, 2, 1}, {0, 0, 0, 0, 3}, {7, 0, 0, 3, 0}} {
		if tt.set >= 0 {
			counted(t, dir, trial, tt.set)
		}
		files, err := p.Entries()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if f.File == name && (int(f.Name.TriesLeft) != tt.wantLeft || int(f.Name.TriesDone) != tt.wantDone) {
				t.Errorf("with %d left: %+v; want %d left", tt.set, f.Name, tt.wantLeft)
			}
		}
	}
	counted(t, dir, trial, 0)
	files, err := p.Entries()
	if err != nil || !files[len(files)-1].Name.Exhausted() {
		t.Fatalf("Entries = %+v, %v; want the exhausted one last", files, err)
	}
	if err := p.BlessBooted(id("b")); err != nil {
		t.Fatal(err)
	}
	if files, err = p.Entries(); err != nil || !files[0].Good() || files[0].Name.Base != strings.TrimSuffix(trial, "+3-0") {
		t.Errorf("after BlessBooted: %+v, %v; want it good", files, err)
	}
	for _, bad := range []string{"", "x", strings.Repeat("#", grubenv.Size)} {
		if err := os.WriteFile(filepath.Join(dir, GRUBEnv), []byte(bad), 0o644); err != nil {
			t.Fatal(err)
		}
		if counts := p.readGRUBCounts(); len(counts) > 0 {
			t.Errorf("of a damaged block: %v", counts)
		}
		if _, err := p.Rollback(id("a")); err != nil {
			t.Fatal(err)
		}
		if block, err := p.readSmall(GRUBEnv); err != nil || string(block) != string(grubenv.Empty()) {
			t.Errorf("after a change, %q is %q, %v; want an empty block", bad, block, err)
		}
		if _, err := p.Rollback(id("b")); err != nil {
			t.Fatal(err)
		}
	}
}

// What GRUB has counted of entries before the last one on trial stays known while they are
// there, so that none of them is tried again, and no longer.
func TestGRUBSpent(t *testing.T) {
	p, dir := withGRUB(t)
	publish := func(id string) string {
		name, err := p.StageEntry(entryFor(id))
		if err == nil {
			err = p.Publish(name)
		}
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSuffix(name, ".conf")
	}
	b, c := publish("b"), publish("c")
	counted(t, dir, c, 0)
	block, err := p.readSmall(GRUBEnv)
	if err == nil {
		block, err = grubenv.Set(block, envSpent, " gone "+b)
	}
	if err == nil {
		err = p.overwrite(GRUBEnv, block)
	}
	if err != nil {
		t.Fatal(err)
	}
	publish("d")
	files, err := p.Entries()
	if err != nil {
		t.Fatal(err)
	}
	var order []string
	for _, f := range files {
		order = append(order, fmt.Sprintf("%.16s+%d-%d", f.Name.Base[len("sysupdate-image-"):], f.Name.TriesLeft, f.Name.TriesDone))
	}
	if got, want := strings.Join(order, " "), "000004-d00000000+3-0 000001-a00000000+0-0 000003-c00000000+0-3 000002-b00000000+0-3"; got != want {
		t.Errorf("entries are %s; want %s", got, want)
	}
	if counts := p.readGRUBCounts(); len(counts) != 2 {
		t.Errorf("GRUB counts %v; want two entries", counts)
	}
}

// At no moment GRUB has an entry without what it boots by it.
func TestGRUBSteps(t *testing.T) {
	for n := 0; ; n++ {
		p, dir := withGRUB(t)
		p.fs = durabletest.CrashAfter(p.fs, n)
		name, err := p.StageEntry(entryFor("b"))
		if err == nil {
			err = p.Publish(name)
		}
		checkMenuEntries(t, dir, n)
		again := open(t, dir, nil)
		if name, err := again.StageEntry(entryFor("b")); err != nil {
			t.Fatalf("after %d steps: %v", n, err)
		} else if err := again.Publish(name); err != nil {
			t.Fatalf("after %d steps: %v", n, err)
		}
		checkMenuEntries(t, dir, n)
		if got := next(t, dir); got != "b" {
			t.Errorf("after %d steps, and again: %s is next; want b", n, got)
		}
		if err == nil {
			return
		}
	}
}

func checkMenuEntries(t *testing.T, dir string, n int) {
	t.Helper()
	p := open(t, dir, nil)
	files, err := p.Entries()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if err := p.CheckMenuEntry(f); err != nil && f.Err == nil {
			t.Errorf("after %d steps: %s: %v", n, f.File, err)
		}
	}
}

// An argument that GRUB would change is refused before anything counts.
func TestGRUBArgument(t *testing.T) {
	p, dir := withGRUB(t)
	e := entryFor("b")
	e.Options += ` dyndbg=\x20`
	if _, err := p.StageEntry(e); !errors.Is(err, grubscript.ErrArgument) {
		t.Errorf("StageEntry = %v; want %v", err, grubscript.ErrArgument)
	}
	if got := next(t, dir); got != "a" {
		t.Errorf("%s is next; want a", got)
	}
}

// What GRUB read of an entry goes with it.
func TestGRUBPrune(t *testing.T) {
	p, dir := withGRUB(t)
	for _, name := range []string{"sysupdate-image-000007-c00000000000.cfg", "custom.cfg"} {
		if err := durable.WriteFile(p.fs, GRUBDir+"/"+name, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	p.dropMenuEntries()
	names, err := p.readDir(GRUBDir)
	if want := "custom.cfg grub.cfg grubenv sysupdate-image-000001-a00000000000.cfg"; err != nil || strings.Join(names, " ") != want {
		t.Errorf("left are %s, %v; want %s", names, err, want)
	}
	checkMenuEntries(t, dir, 0)
}
