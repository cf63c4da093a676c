package boot

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bootentry"
)

// variables returns a running system with EFI variables, NAME=VALUE each.
func variables(list ...string) fstest.MapFS {
	running := fstest.MapFS{}
	for _, v := range list {
		name, value, _ := strings.Cut(v, "=")
		setVariable(running, name, value)
	}
	return running
}

// TestChoose has the loader told in several ways what to boot, of the entries old, which is
// the first, aged, trial, which has tries, and new, which has used them up.
func TestChoose(t *testing.T) {
	const oldFile, agedFile, trialFile, newFile = "old.conf", "aged.conf", "trial+2-1.conf", "new+0-3.conf"
	const one, preferred, byDefault = "EFI variable LoaderEntryOneShot", "EFI variable LoaderEntryPreferred", "EFI variable LoaderEntryDefault"
	tests := []struct {
		name, variables, conf string
		by, boots             string
	}{
		{"nothing", "LoaderInfo=systemd-boot 260", "timeout 3\n", "", oldFile},
		{"default", "", "default new.conf\n", "loader.conf", newFile},
		{"default in quotes", "", "default \"new.conf\"\n", "loader.conf", newFile},
		{"preferred", "", "preferred old.conf\n", "", oldFile},
		{"preferred, not the first", "", "preferred aged.conf\ndefault old.conf\n", "loader.conf", agedFile},
		{"preferred in a variable, not the first", "LoaderEntryPreferred=aged.conf", "preferred old.conf\n", preferred, agedFile},
		{"preferred, and bad", "", "preferred new.conf\n", "", oldFile},
		{"preferred, and bad, and the default", "", "preferred new*\ndefault new*\n", "loader.conf", newFile},
		{"preferred, a pattern that a bad one matches too", "", "preferred [nt]*\n", "loader.conf", trialFile},
		{"a variable before the file", "LoaderEntryDefault=new.conf", "default old.conf\n", byDefault, newFile},
		{"preferred before the default", "LoaderEntryDefault=new.conf", "preferred old.conf\n", "", oldFile},
		{"preferred in a variable", "LoaderEntryPreferred=old.conf;LoaderEntryDefault=new.conf", "", "", oldFile},
		{"preferred in a variable, bad", "LoaderEntryPreferred=new.conf;LoaderEntryDefault=new.conf", "", byDefault, newFile},
		{"once", "LoaderEntryOneShot=new.conf;LoaderEntryPreferred=old.conf", "", one, newFile},
		{"preferred, which 259 does not know", "LoaderInfo=systemd-boot 259.1;LoaderEntryPreferred=old.conf;LoaderEntryDefault=new.conf", "", byDefault, newFile},
		{"the last line counts", "", "default new.conf\ndefault old.conf\n", "", oldFile},
		{"other case", "LoaderEntryDefault=NEW.conf", "", byDefault, newFile},
		{"saved", "LoaderEntryLastBooted=aged.conf", "default @saved\n", "loader.conf", agedFile},
		{"saved, and nothing is", "", "default @saved\n", "", oldFile},
		{"saved in the variable, which is gone, and a default", "LoaderEntryDefault=@saved;LoaderEntryLastBooted=x.conf", "default new.conf\n", "loader.conf", newFile},
		{"nobody asked for what is saved", "LoaderEntryLastBooted=aged.conf", "", "", oldFile},
		{"not an entry", "LoaderEntryDefault=none.conf", "default x*\n", "", oldFile},
		{"a pattern that is none", "LoaderEntryDefault=[", "", "", oldFile},
		{"another system", "LoaderEntries=old.conf\x00auto-windows;LoaderEntryDefault=auto-windows", "", byDefault, "auto-windows"},
		{"an entry that is gone", "LoaderEntries=old.conf\x00gone.conf;LoaderEntryDefault=gone.conf", "", "", oldFile},
		{"an id without tries, on trial", "LoaderInfo=systemd-boot 257.13-1~deb13u1;LoaderEntryDefault=trial.conf", "", byDefault, trialFile},
		{"an id with tries, on trial", "LoaderInfo=systemd-boot 257.7;LoaderEntryDefault=trial+2-1.conf", "", byDefault, trialFile},
		{"an old loader knows no ids without tries", "LoaderInfo=systemd-boot 256;LoaderEntryDefault=trial.conf", "", "", oldFile},
		{"and those with them", "LoaderInfo=systemd-boot 252;LoaderEntryDefault=trial+2-1.conf", "", byDefault, trialFile},
		{"a new loader knows no ids with tries", "LoaderInfo=systemd-boot 262.1;LoaderEntryDefault=trial+2-1.conf", "", "", oldFile},
	}
	for _, tt := range tests {
		dir := t.TempDir()
		put(t, dir, map[string]string{
			"k": "kernel", "loader/loader.conf": tt.conf,
			"loader/entries/" + agedFile: "title Aged\nlinux /k\n", "loader/entries/" + trialFile: "title Trial\nlinux /k\nsort-key z\n",
			"loader/entries/" + oldFile: "title Old\nlinux /k\nsort-key a\n", "loader/entries/" + newFile: "title New\nlinux /k\n",
		})
		p := open(t, dir, nil)
		s, err := p.Settings(variables(strings.Split(tt.variables, ";")...))
		if err != nil {
			t.Fatal(err)
		}
		files, err := p.Entries()
		if err != nil {
			t.Fatal(err)
		}
		c := s.Choose(files)
		if got := c.Entry.File; c.By != tt.by || got != tt.boots && (got != "" || c.ID != tt.boots) {
			t.Errorf("%s: boots %q %q by %q; want %q by %q", tt.name, got, c.ID, c.By, tt.boots, tt.by)
		}
	}
}

// An entry with tries and one without, after a power cut while it was blessed, are one to the
// loader's settings.
func TestChooseTwin(t *testing.T) {
	dir := machineWith(t, "sysupdate-image-000001-a00000000000.conf=a",
		"sysupdate-image-000002-b00000000000+2-1.conf=b", "sysupdate-image-000002-b00000000000.conf=b")
	p := open(t, dir, nil)
	files, err := p.Entries()
	if err != nil {
		t.Fatal(err)
	}
	for variable, want := range map[string]string{"": "b", "LoaderEntryDefault=sysupdate-image-000002-b00000000000.conf": "b", "LoaderEntryPreferred=*a0*": "a"} {
		s, err := p.Settings(variables(variable))
		if got := s.Choose(files); err != nil || got.Entry.Target.ID != id(want) {
			t.Errorf("%q: boots %s, %v; want %s", variable, got.Entry.File, err, want)
		}
	}
}

func TestAfterPublishing(t *testing.T) {
	dir := machineWith(t, "sysupdate-image-000001-a00000000000.conf=a")
	p := open(t, dir, nil)
	name, err := p.StageEntry(entryFor("b"))
	if err != nil {
		t.Fatal(err)
	}
	files, err := p.Entries()
	if err != nil {
		t.Fatal(err)
	}
	for variable, want := range map[string]string{"": "b", "LoaderEntryDefault=*-a0*": "a", "LoaderEntryDefault=*-b0*": "b"} {
		s, err := p.Settings(variables(variable))
		if got := s.Choose(AfterPublishing(files, name)); err != nil || got.Entry.Target.ID != id(want) {
			t.Errorf("%q: boots %s, %v; want %s", variable, got.Entry.File, err, want)
		}
	}
	if first, _ := Next(files); first.Target.ID != id("a") {
		t.Errorf("the files were changed: %s is first", first.File)
	}
}

// bump does what a loader does that counts: it boots the chosen entry, and renames it first.
func bump(t *testing.T, p *Partition, dir string) EntryFile {
	t.Helper()
	files, err := p.Entries()
	if err != nil {
		t.Fatal(err)
	}
	f, ok := Next(files)
	if !ok {
		t.Fatal("there is no entry")
	}
	if n := f.Name; n.Counted {
		after := bootentry.Name{Base: n.Base, Counted: true, TriesLeft: max(n.TriesLeft, 1) - 1, TriesDone: n.TriesDone + 1}
		entries := filepath.Join(dir, entriesDir)
		if err := os.Rename(filepath.Join(entries, f.File), filepath.Join(entries, after.String())); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

// However often the power fails, a blessed system is not left; one that was never blessed is,
// after three boots.
func TestPowerCycles(t *testing.T) {
	dir := machineWith(t, "sysupdate-image-000001-a00000000000.conf=a")
	p := open(t, dir, nil)
	name, err := p.StageEntry(entryFor("b"))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Publish(name); err != nil {
		t.Fatal(err)
	}
	booted := ""
	for range 5 {
		booted += string(bump(t, p, dir).Target.ID[:1])
	}
	if booted != "bbbaa" {
		t.Errorf("never blessed: boots %s; want bbbaa", booted)
	}
	if _, err := p.Rollback(id("b")); err != nil {
		t.Fatal(err)
	}
	if err := p.Bless(bump(t, p, dir).Name); err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		if f := bump(t, p, dir); f.Target.ID != id("b") {
			t.Errorf("power cycle %d of what is blessed boots %s", i+1, f.File)
		}
	}
}

func FuzzLoaderConf(f *testing.F) {
	f.Add("timeout 3\ndefault \"x*.conf\"\n", "x+3-0")
	f.Add("default [\n", "[")
	f.Fuzz(func(t *testing.T, conf, base string) {
		dir := t.TempDir()
		put(t, dir, map[string]string{"loader/loader.conf": conf})
		s, err := open(t, dir, nil).Settings(nil)
		if err != nil {
			t.Skip(err)
		}
		name := bootentry.Name{Base: base}
		c := s.Choose([]EntryFile{{File: name.String(), Name: name}})
		if c.Entry.Name != name || c.By != "" {
			t.Errorf("of one entry %q, %q boots: %+v", base, conf, c)
		}
	})
}
