package boot

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bootentry"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable/durabletest"
)

func TestStageTrace(t *testing.T) {
	dir := machineWith(t, "sysupdate-image-000009-a00000000000.conf=a", "sysupdate-image-000010-c00000000000+3-0.conf.staged=c")
	p, trace := traced(t, dir)
	name, err := p.StageEntry(entryFor("b"))
	if want := "sysupdate-image-000011-b00000000000+3-0.conf"; name != want || err != nil {
		t.Fatalf("StageEntry = %q, %v; want %q", name, err, want)
	}
	if got := next(t, dir); got != "a" {
		t.Errorf("%s boots next after StageEntry; want a", got)
	}
	if err := p.KeepStaged(name); err != nil {
		t.Fatal(err)
	}
	if err := p.Publish(name); err != nil {
		t.Fatal(err)
	}
	if got := next(t, dir); got != "b" {
		t.Errorf("%s boots next after Publish; want b", got)
	}
	const want = `mkdir sysupdate-image/.new
syncfs
sync .
create loader/entries/NEW.staged
write loader/entries/NEW.staged
syncfs
sync .
remove loader/entries/OLD.staged
sync loader/entries
create sysupdate-image/.new/BOOT-NEW
write sysupdate-image/.new/BOOT-NEW
sync sysupdate-image/.new/BOOT-NEW
rename sysupdate-image/.new/BOOT-NEW loader/entries/NEW
sync loader/entries/NEW
sync loader/entries
remove loader/entries/NEW.staged
sync loader/entries
create sysupdate-image/.new/BOOT-.reserve
write sysupdate-image/.new/BOOT-.reserve
sync sysupdate-image/.new/BOOT-.reserve
rename sysupdate-image/.new/BOOT-.reserve sysupdate-image/.reserve
sync sysupdate-image/.reserve
sync sysupdate-image
`
	got := strings.NewReplacer(name, "NEW", "sysupdate-image-000010-c00000000000+3-0.conf", "OLD").Replace(trace.String())
	if got != want {
		t.Errorf("steps:\n%s\nwant:\n%s", got, want)
	}
	if err := p.Publish(name); err != nil {
		t.Errorf("Publish again: %v", err)
	}
}

// A first deployment has nothing to fall back to, so the loader must never
// avoid it.
func TestStageTries(t *testing.T) {
	for _, test := range []struct {
		entries []string
		want    string
	}{
		{nil, "sysupdate-image-000001-b00000000000.conf"},
		{[]string{"sysupdate-image-000001-a00000000000+2-1.conf=a"}, "sysupdate-image-000002-b00000000000.conf"},
		{[]string{"sysupdate-image-000001-b00000000000.conf=b"}, "sysupdate-image-000002-b00000000000.conf"},
		{[]string{"sysupdate-image-000001-a00000000000.conf=a"}, "sysupdate-image-000002-b00000000000+3-0.conf"},
		{[]string{"sysupdate-image-999999-a00000000000.conf=a"}, "sysupdate-image-1000000-b00000000000+3-0.conf"},
	} {
		p := open(t, machineWith(t, test.entries...), nil)
		if got, err := p.StageEntry(entryFor("b")); got != test.want || err != nil {
			t.Errorf("with %v: StageEntry = %q, %v; want %q", test.entries, got, err, test.want)
		}
	}
}

func TestStageErrors(t *testing.T) {
	p := open(t, machineWith(t), nil)
	noKernel := entryFor("b")
	noKernel.Initrds = []string{"/none"}
	large := entryFor("b")
	large.Title = strings.Repeat("x", int(limits.BootEntry.Value))
	for _, e := range []bootentry.Entry{noKernel, large, {Linux: "/sysupdate-image/k/vmlinuz", Options: "quiet"}} {
		if name, err := p.StageEntry(e); err == nil {
			t.Errorf("StageEntry(%+v) = %q; want an error", e, name)
		}
	}
	for _, name := range []string{"sysupdate-image-000001-b00000000000.conf", "", "../x.conf", "nonsense"} {
		if err := p.Publish(name); err == nil {
			t.Errorf("Publish(%q): no error", name)
		}
	}
	if got := tree(t, p.String()); len(got) != 2 {
		t.Errorf("left behind: %q", got)
	}
}

// What an image calls itself is no reason why it could not be published.
func TestStageAnyTitle(t *testing.T) {
	dir := machineWith(t, "sysupdate-image-000001-a00000000000.conf=a")
	p := open(t, dir, nil)
	e := NewEntry("OS \xff\x00", "4\n\x00", kernelsDir+"/k", "quiet composefs="+string(id("b")))
	name, err := p.StageEntry(e)
	if err == nil {
		err = p.Publish(name)
	}
	if got := next(t, dir); err != nil || got != "b" {
		t.Errorf("%s boots next, %v; want b", got, err)
	}
}

func TestPublishCountedDown(t *testing.T) {
	p := open(t, machineWith(t, "sysupdate-image-000002-b00000000000+2-1.conf=b"), nil)
	if err := p.Publish("sysupdate-image-000002-b00000000000+3-0.conf"); err != nil {
		t.Errorf("Publish of what the loader has counted down: %v", err)
	}
}

func TestRollback(t *testing.T) {
	tests := []struct {
		name    string
		entries []string
		to      string
		want    []string // entries after
	}{
		{"to the old one",
			[]string{"sysupdate-image-000001-a00000000000.conf=a", "sysupdate-image-000002-b00000000000.conf=b"}, "a",
			[]string{"sysupdate-image-000003-a00000000000.conf", "sysupdate-image-000002-b00000000000.conf"}},
		{"to what is next already",
			[]string{"sysupdate-image-000001-a00000000000.conf=a", "sysupdate-image-000002-b00000000000+2-1.conf=b"}, "b",
			[]string{"sysupdate-image-000002-b00000000000+2-1.conf", "sysupdate-image-000001-a00000000000.conf"}},
		{"to one that failed: it is tried anew",
			[]string{"sysupdate-image-000001-a00000000000.conf=a", "sysupdate-image-000002-b00000000000+0-3.conf=b"}, "b",
			[]string{"sysupdate-image-000003-b00000000000+3-0.conf", "sysupdate-image-000001-a00000000000.conf"}},
		{"to the only one, which failed",
			[]string{"sysupdate-image-000002-b00000000000+0-3.conf=b"}, "b",
			[]string{"sysupdate-image-000003-b00000000000.conf"}},
		{"staged ones stay",
			[]string{"sysupdate-image-000001-a00000000000.conf=a", "sysupdate-image-000002-b00000000000.conf=b", "sysupdate-image-000003-c00000000000+3-0.conf.staged=c"}, "a",
			[]string{"sysupdate-image-000004-a00000000000.conf", "sysupdate-image-000002-b00000000000.conf", "sysupdate-image-000003-c00000000000+3-0.conf.staged"}},
		{"of an entry that is not ours",
			[]string{"sysupdate-image-000001-a00000000000.conf=a", "zz.conf=b"}, "b",
			[]string{"sysupdate-image-000003-b00000000000.conf", "sysupdate-image-000001-a00000000000.conf"}},
	}
	for _, test := range tests {
		dir := machineWith(t, test.entries...)
		p := open(t, dir, nil)
		name, err := p.Rollback(id(test.to))
		files, errEntries := p.Entries()
		if err != nil || errEntries != nil || name != files[0].File {
			t.Errorf("%s: Rollback = %q, %v, %v; want the first of %v", test.name, name, err, errEntries, files)
		}
		var got []string
		for _, f := range files {
			got = append(got, f.File)
		}
		if !slices.Equal(got, test.want) && test.name != "of an entry that is not ours" {
			t.Errorf("%s: entries are %q; want %q", test.name, got, test.want)
		}
		if got := next(t, dir); got != test.to {
			t.Errorf("%s: %s boots next; want %s", test.name, got, test.to)
		}
	}
	p := open(t, machineWith(t, "sysupdate-image-000001-a00000000000.conf=a"), nil)
	if _, err := p.Rollback(id("b")); !errors.Is(err, ErrNoEntry) {
		t.Errorf("Rollback to what has no entry: %v; want ErrNoEntry", err)
	}
}

// otherEntry is an entry of another program's, whose sort-key comes before ours.
func otherEntry(letter, key string) string {
	e := entryFor(letter)
	e.SortKey, e.Version = key, "42"
	return string(e.Encode())
}

func TestAdopt(t *testing.T) {
	seed := func(t *testing.T) string {
		dir := machineWith(t)
		put(t, dir, map[string]string{
			entriesDir + "/other_os-42-1.conf": otherEntry("a", "an-os-0"),
			entriesDir + "/other_os-41-0.conf": otherEntry("b", "an-os-1"),
		})
		return dir
	}
	for n := 0; ; n++ {
		dir := seed(t)
		p := open(t, dir, func(fsys durable.FS) durable.FS { return durabletest.CrashAfter(fsys, n) })
		_, err := p.StageEntry(entryFor("c"))
		if got := next(t, dir); got != "a" {
			t.Fatalf("after %d steps: %s boots next; want a", n, got)
		}
		name, errAgain := open(t, dir, nil).StageEntry(entryFor("c"))
		if errAgain != nil {
			t.Fatalf("after %d steps: %v", n, errAgain)
		}
		if err := open(t, dir, nil).Publish(name); err != nil {
			t.Fatal(err)
		}
		want := []string{"sysupdate-image-000001-b00000000000.conf", "sysupdate-image-000002-a00000000000.conf", "sysupdate-image-000003-c00000000000+3-0.conf"}
		list, _ := os.ReadDir(filepath.Join(dir, entriesDir))
		var got []string
		for _, d := range list {
			got = append(got, d.Name())
		}
		if !slices.Equal(got, want) {
			t.Fatalf("after %d steps: entries are %q; want %q", n, got, want)
		}
		if err == nil {
			return
		}
	}
}

func TestCrash(t *testing.T) {
	tests := map[string]struct {
		do       func(*Partition) error
		old, new string
	}{
		"stage and publish": {func(p *Partition) error {
			name, err := p.StageEntry(entryFor("c"))
			if err == nil {
				err = p.KeepStaged(name)
			}
			if err != nil {
				return err
			}
			return p.Publish(name)
		}, "b", "c"},
		"rollback": {func(p *Partition) error { _, err := p.Rollback(id("a")); return err }, "b", "a"},
		"prune":    {func(p *Partition) error { return prune(p, "", "b") }, "b", "b"},
		"unstage":  {func(p *Partition) error { return p.Unstage() }, "b", "b"},
	}
	for name, test := range tests {
		for n := 0; ; n++ {
			dir := machineWith(t, "sysupdate-image-000001-a00000000000.conf=a", "sysupdate-image-000002-b00000000000.conf=b",
				"sysupdate-image-000003-d00000000000.conf.staged=d")
			err := test.do(open(t, dir, func(fsys durable.FS) durable.FS { return durabletest.CrashAfter(fsys, n) }))
			if got := next(t, dir); isLeft(err) && (got != test.new || strings.Contains(err.Error(), "cannot publish") || strings.Contains(err.Error(), "cannot make")) {
				t.Errorf("%s: after %d steps: %s boots next, and the error is %v", name, n, got, err)
			}
			if got := next(t, dir); got != test.old && got != test.new || err == nil && got != test.new {
				t.Errorf("%s: after %d steps: %s boots next (error %v)", name, n, got, err)
			}
			if err := test.do(open(t, dir, nil)); err != nil {
				t.Errorf("%s: after %d steps: cannot try again: %v", name, n, err)
			}
			if got := next(t, dir); got != test.new {
				t.Errorf("%s: after %d steps and again: %s boots next; want %s", name, n, got, test.new)
			}
			for _, file := range tree(t, dir) {
				if strings.HasSuffix(file, ".tmp") || strings.HasSuffix(file, ".staged") && name != "rollback" && name != "prune" {
					t.Errorf("%s: after %d steps and again: %s is left", name, n, file)
				}
			}
			if err == nil {
				break
			}
		}
	}
}

// Each change of a boot partition takes these steps, of which the last rename
// of an entry is the commit, if there is one.
func TestTraces(t *testing.T) {
	const a, b, c = "sysupdate-image-000001-a00000000000.conf", "sysupdate-image-000002-b00000000000.conf", "sysupdate-image-000003-c00000000000+3-0.conf"
	tests := map[string]struct {
		do   func(*Partition) error
		want string
	}{
		"rollback": {func(p *Partition) error { _, err := p.Rollback(id("a")); return err }, `mkdir sysupdate-image/.new
syncfs
sync .
create sysupdate-image/.new/BOOT-NEW
write sysupdate-image/.new/BOOT-NEW
sync sysupdate-image/.new/BOOT-NEW
rename sysupdate-image/.new/BOOT-NEW loader/entries/NEW
sync loader/entries/NEW
sync loader/entries
remove loader/entries/A
sync loader/entries
create sysupdate-image/.new/BOOT-.reserve
write sysupdate-image/.new/BOOT-.reserve
sync sysupdate-image/.new/BOOT-.reserve
rename sysupdate-image/.new/BOOT-.reserve sysupdate-image/.reserve
sync sysupdate-image/.reserve
sync sysupdate-image
`},
		"unstage": {func(p *Partition) error { return p.Unstage() }, `remove loader/entries/C.staged
sync loader/entries
`},
		"prune": {func(p *Partition) error { return prune(p, "", "b") }, `remove loader/entries/A
remove loader/entries/C.staged
sync loader/entries
remove sysupdate-image/ka/initrd
remove sysupdate-image/ka/vmlinuz
remove sysupdate-image/ka
sync sysupdate-image
`},
		"adopt": {func(p *Partition) error { return p.adopt() }, ""},
	}
	for name, tt := range tests {
		dir := machineWith(t, a+"=a", b+"=b", c+".staged=c")
		put(t, dir, map[string]string{
			kernelsDir + "/ka/vmlinuz": "k", kernelsDir + "/ka/initrd": "i",
			entriesDir + "/" + a: strings.ReplaceAll(string(entryFor("a").Encode()), "/k/", "/ka/"),
		})
		p, trace := traced(t, dir)
		if err := tt.do(p); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		names := strings.NewReplacer("sysupdate-image-000004-a00000000000.conf", "NEW", a, "A", b, "B", c, "C")
		if got := names.Replace(trace.String()); got != tt.want {
			t.Errorf("%s: steps:\n%s\nwant:\n%s", name, got, tt.want)
		}
	}
}

// Such an entry is copied durably before it is removed.
func TestAdoptTrace(t *testing.T) {
	dir := machineWith(t)
	put(t, dir, map[string]string{entriesDir + "/other_os-42-1.conf": otherEntry("a", "an-os-0")})
	p, trace := traced(t, dir)
	if err := p.adopt(); err != nil {
		t.Fatal(err)
	}
	const want = `mkdir sysupdate-image/.new
syncfs
sync .
create sysupdate-image/.new/BOOT-NEW
write sysupdate-image/.new/BOOT-NEW
sync sysupdate-image/.new/BOOT-NEW
rename sysupdate-image/.new/BOOT-NEW loader/entries/NEW
sync loader/entries/NEW
sync loader/entries
remove loader/entries/other_os-42-1.conf
sync loader/entries
`
	if got := strings.ReplaceAll(trace.String(), "sysupdate-image-000001-a00000000000.conf", "NEW"); got != want {
		t.Errorf("steps:\n%s\nwant:\n%s", got, want)
	}
}
