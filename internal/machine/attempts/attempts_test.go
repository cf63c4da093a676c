package attempts

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bootentry"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable/durabletest"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/records"
)

var (
	a, b, c = id("0a"), id("0b"), id("0c")
	onTrial = deployment.AttemptsCount{Trial: true, Left: 3}
	spent   = deployment.AttemptsCount{Trial: true, Done: 3}
	broken  = deployment.AttemptsCount{Failures: 3, Reason: "x"}
)

func id(s string) deployment.ID { return deployment.ID(strings.Repeat(s, 32)) }

// entry is a boot entry of a deployment by a file name such as "1+3-0.conf".
func entry(t *testing.T, file string, id deployment.ID) boot.EntryFile {
	t.Helper()
	name, err := bootentry.ParseName(file)
	if err != nil {
		t.Fatal(err)
	}
	return boot.EntryFile{File: file, Name: name, Target: deployment.Target{ID: id}}
}

func newRoot(t *testing.T, with ...deployment.Attempts) (Root, *os.Root) {
	t.Helper()
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	for _, id := range []deployment.ID{a, b, c} {
		for _, dir := range []string{id.Dir(), id.ImageFile()} {
			if err := root.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if err := records.StoreOrigin(durable.OS(root), id, deployment.Origin{Kernel: "6." + id.Short()}); err != nil {
			t.Fatal(err)
		}
	}
	for _, record := range with {
		if err := records.StoreAttempts(durable.OS(root), record); err != nil {
			t.Fatal(err)
		}
	}
	return Root{root.FS(), durable.OS(root)}, root
}

func TestArm(t *testing.T) {
	one, two, three := entry(t, "1.conf", a), entry(t, "2.conf", b), entry(t, "3.conf", c)
	tried := entry(t, "2+0-3.conf", b)
	tests := []struct {
		name  string
		with  []deployment.Attempts
		c     Case
		want  deployment.ID // the fallback, "" for no record
		entry string
	}{
		{"the first deployment", nil, Case{ID: a, Files: []boot.EntryFile{one}, Trial: true}, "", ""},
		{"and an old record of it", []deployment.Attempts{{ID: a, Fallback: b}}, Case{ID: a, Files: []boot.EntryFile{one}}, "", ""},
		{"the booted one", nil, Case{ID: c, Booted: a, Files: []boot.EntryFile{two, one}, Trial: true}, a, "1.conf"},
		{"the loader's first", nil, Case{ID: c, Files: []boot.EntryFile{two, one}, Trial: true}, b, "2.conf"},
		{"one that has not used up its tries", nil, Case{ID: c, Booted: b, Files: []boot.EntryFile{one, tried}, Trial: true}, a, "1.conf"},
		{"one that the initramfs has given up", []deployment.Attempts{{ID: b, Fallback: a, AttemptsCount: spent}},
			Case{ID: c, Files: []boot.EntryFile{two, one}, Trial: true}, a, "1.conf"},
		{"one that the initramfs has on trial", []deployment.Attempts{{ID: b, Fallback: a, AttemptsCount: onTrial}},
			Case{ID: c, Booted: b, Files: []boot.EntryFile{two, one}, Trial: true}, a, "1.conf"},
		{"one that breaks", []deployment.Attempts{{ID: b, Fallback: a, AttemptsCount: broken}},
			Case{ID: c, Booted: b, Files: []boot.EntryFile{two, one}, Trial: true}, a, "1.conf"},
		{"a rollback", nil, Case{ID: a, Booted: c, Files: []boot.EntryFile{three, one}}, c, "3.conf"},
	}
	for _, tt := range tests {
		r, _ := newRoot(t, tt.with...)
		if err := r.Arm(tt.c); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		got, err := records.LoadAttempts(r.FS, tt.c.ID)
		if tt.want == "" {
			if !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s: the record is %+v, %v; want none", tt.name, got, err)
			}
			continue
		}
		want := deployment.Attempts{
			ID: tt.c.ID, Kernel: "6." + tt.c.ID.Short(), Fallback: tt.want, FallbackEntry: tt.entry, FallbackKernel: "6." + tt.want.Short(),
		}
		if tt.c.Trial {
			want.AttemptsCount = onTrial
		}
		if err != nil || got != want {
			t.Errorf("%s: the record is %+v, %v; want %+v", tt.name, got, err, want)
		}
	}
}

// What is gone from the disk is nothing to fall back to.
func TestArmGone(t *testing.T) {
	files := []boot.EntryFile{entry(t, "2.conf", b), entry(t, "1.conf", a)}
	for _, gone := range []string{b.ImageFile(), b.Dir()} {
		r, root := newRoot(t)
		if err := root.RemoveAll(gone); err != nil {
			t.Fatal(err)
		}
		if err := r.Arm(Case{ID: c, Booted: b, Files: files, Trial: true}); err != nil {
			t.Fatal(err)
		}
		if got, err := records.LoadAttempts(r.FS, c); err != nil || got.Fallback != a {
			t.Errorf("without %s the record is %+v, %v; want fallback %s", gone, got, err, a)
		}
	}
}

// A new trial does not fail for the reason of an old one.
func TestArmForgets(t *testing.T) {
	files := []boot.EntryFile{entry(t, "1.conf", a)}
	for _, trial := range []bool{true, false} {
		r, _ := newRoot(t)
		if err := records.StoreBootFailure(r.Changes, deployment.BootFailure{ID: b, Entry: "b", Reason: "no database"}); err != nil {
			t.Fatal(err)
		}
		if err := r.Arm(Case{ID: b, Files: files, Trial: trial}); err != nil {
			t.Fatal(err)
		}
		if _, err := records.LoadBootFailure(r.FS, b); errors.Is(err, fs.ErrNotExist) != trial {
			t.Errorf("armed, trial %t: the failure before is %v", trial, err)
		}
	}
}

// Counts and Name turn a record into the tries of an entry.
func TestCounts(t *testing.T) {
	for _, tt := range []struct {
		file   string
		record deployment.Attempts
		want   string // "" if the record does not count
	}{
		{"1.conf", deployment.Attempts{AttemptsCount: onTrial}, "1+3-0.conf"},
		{"1.conf", deployment.Attempts{AttemptsCount: onTrial, Counted: true}, ""}, // blessed by another program
		{"1+2-1.conf", deployment.Attempts{AttemptsCount: onTrial, Counted: true}, "1+2-1.conf"},
		{"1+3-0.conf", deployment.Attempts{AttemptsCount: spent, Counted: true}, "1+0-3.conf"}, // the loader forgot to count
		{"1.conf", deployment.Attempts{AttemptsCount: broken}, "1+0-3.conf"},
		{"1.conf", deployment.Attempts{AttemptsCount: deployment.AttemptsCount{Failures: 2}}, ""},
		{"1.conf", deployment.Attempts{}, ""},
	} {
		tt.record.ID = a
		f := entry(t, tt.file, a)
		got := ""
		if Counts(tt.record, []boot.EntryFile{f}) {
			got = Name(f.Name, tt.record).String()
		}
		if got != tt.want {
			t.Errorf("%s with %+v: %q; want %q", tt.file, tt.record, got, tt.want)
		}
	}
}

func TestBless(t *testing.T) {
	for name, count := range map[string]deployment.AttemptsCount{
		"on trial": {Trial: true, Left: 2, Done: 1, Boot: "x"}, "failed once": {Failures: 1, Reason: "x"}, "good": {},
	} {
		r, root := newRoot(t, deployment.Attempts{ID: a, Fallback: b, AttemptsCount: count, Counted: count.Trial})
		trace := durabletest.Trace(durable.OS(root))
		r.Changes = trace
		if err := r.Bless(a); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got, err := records.LoadAttempts(r.FS, a); err != nil || got != (deployment.Attempts{ID: a, Fallback: b}) {
			t.Errorf("%s: blessed, the record is %+v, %v", name, got, err)
		}
		if name == "good" && trace.String() != "" {
			t.Errorf("nothing was to be done, and these were the steps:\n%s", trace)
		}
	}
	r, root := newRoot(t)
	if err := r.Bless(a); err != nil {
		t.Errorf("without a record: %v", err)
	}
	if err := root.WriteFile(a.AttemptsFile(), []byte("torn"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := r.Bless(a); err != nil {
		t.Errorf("with a damaged record: %v", err)
	}
	if _, err := root.Stat(a.AttemptsFile()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("blessed, a damaged record is still there: %v", err)
	}
}

// A deployment that goes is nobody's fallback any more.
func TestForget(t *testing.T) {
	files := []boot.EntryFile{entry(t, "3.conf", c), entry(t, "2.conf", b), entry(t, "1.conf", a)}
	count := deployment.AttemptsCount{Trial: true, Left: 1, Done: 2}
	r, _ := newRoot(t, deployment.Attempts{ID: c, Fallback: b, AttemptsCount: count}, deployment.Attempts{ID: a, Fallback: c})
	if err := r.Forget(c, files, []deployment.ID{b}); err != nil {
		t.Fatal(err)
	}
	if got, err := records.LoadAttempts(r.FS, c); err != nil || got.Fallback != a || got.FallbackEntry != "1.conf" || got.AttemptsCount != count {
		t.Errorf("without b, the record of c is %+v, %v", got, err)
	}
	if err := r.Forget(c, files, []deployment.ID{a, b}); err != nil {
		t.Fatal(err)
	}
	if got, err := records.LoadAttempts(r.FS, c); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("alone, the record of c is %+v, %v", got, err)
	}
	if got, err := records.LoadAttempts(r.FS, a); err != nil || got.Fallback != c {
		t.Errorf("the record of a, which goes as well, is %+v, %v; want it untouched", got, err)
	}
}
