package boot

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bootentry"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable/durabletest"
)

// id returns a deployment's ID that begins with the letter.
func id(letter string) deployment.ID { return deployment.ID(letter + strings.Repeat("0", 127)) }

// open opens dir with the changes going through wrap.
func open(t *testing.T, dir string, wrap func(durable.FS) durable.FS) *Partition {
	t.Helper()
	p, err := OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	p.bootID = "BOOT"
	if wrap != nil {
		p.fs = wrap(p.fs)
	}
	return p
}

// traced is open with a record of all steps.
func traced(t *testing.T, dir string) (*Partition, *durabletest.Recorder) {
	t.Helper()
	p := open(t, dir, nil)
	trace := durabletest.Trace(p.fs)
	p.fs = trace
	return p, trace
}

// put writes files, whose names end before the first space, with the rest as
// content.
func put(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// machineWith returns a boot partition with a kernel "k" and published entries
// of these names, for the deployments with the letters after the last '='.
func machineWith(t *testing.T, entries ...string) string {
	t.Helper()
	dir := t.TempDir()
	put(t, dir, map[string]string{kernelsDir + "/k/vmlinuz": "kernel", kernelsDir + "/k/initrd": "initrd"})
	for _, e := range entries {
		name, letter, _ := strings.Cut(e, "=")
		put(t, dir, map[string]string{entriesDir + "/" + name: string(entryFor(letter).Encode())})
	}
	return dir
}

func entryFor(letter string) bootentry.Entry {
	return NewEntry("OS", letter, kernelsDir+"/k", "quiet composefs="+string(id(letter)))
}

// tree lists the files below dir.
func tree(t *testing.T, dir string) []string {
	t.Helper()
	var names []string
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			names = append(names, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// next returns the first letter of the deployment that boots next.
func next(t *testing.T, dir string) string {
	t.Helper()
	files, err := open(t, dir, nil).Entries()
	if err != nil {
		t.Fatal(err)
	}
	f, ok := Next(files)
	if !ok || !f.IsDeployment() {
		return f.File
	}
	return string(f.Target.ID[:1])
}

func TestNewEntry(t *testing.T) {
	want := "title OS (2)\nsort-key sysupdate-image\nlinux /sysupdate-image/ab/vmlinuz\n" +
		"initrd /sysupdate-image/ab/initrd\noptions quiet\n"
	if got := string(NewEntry("OS", "2", kernelsDir+"/ab", "quiet").Encode()); got != want {
		t.Errorf("NewEntry = %q; want %q", got, want)
	}
	if got := NewEntry("OS", "", kernelsDir+"/ab", "quiet").Title; got != "OS" {
		t.Errorf("title without a version is %q; want OS", got)
	}
}

func TestEntries(t *testing.T) {
	dir := machineWith(t, "sysupdate-image-000001-a00000000000.conf=a", "sysupdate-image-000002-b00000000000+2-1.conf=b",
		"sysupdate-image-000004-d00000000000+0-3.conf=d", "sysupdate-image-000003-c00000000000.conf.staged=c")
	put(t, dir, map[string]string{
		entriesDir + "/debian.conf":    "title Debian\nlinux /sysupdate-image/k/vmlinuz\noptions root=/dev/vda2\n",
		entriesDir + "/broken.conf":    "title x\n",
		entriesDir + "/binary.conf":    "linux \x00",
		entriesDir + "/missing.conf":   "linux /none\noptions composefs=" + string(id("e")) + "\n",
		entriesDir + "/badid.conf":     "linux /sysupdate-image/k/vmlinuz\noptions composefs=12\n",
		entriesDir + "/notes.txt":      "hello",
		entriesDir + "/large.conf":     strings.Repeat("#", int(limits.BootEntry.Value)+1),
		entriesDir + "/dir.conf/x":     "",
		entriesDir + "/x.conf.tmp":     "linux /half",
		entriesDir + "/backslash.conf": "sort-key zz\nlinux \\sysupdate-image\\k\\vmlinuz\noptions composefs=" + string(id("f")) + "\n",
	})
	files, err := open(t, dir, nil).Entries()
	if err != nil {
		t.Fatal(err)
	}
	want := []struct{ file, err string }{
		{"sysupdate-image-000002-b00000000000+2-1.conf", ""},
		{"sysupdate-image-000001-a00000000000.conf", ""},
		{"backslash.conf", ""},
		{"debian.conf", ""},
		{"sysupdate-image-000004-d00000000000+0-3.conf", ""},
		{"sysupdate-image-000003-c00000000000.conf.staged", ""},
		{"badid.conf", "12"},
		{"binary.conf", "not text"},
		{"broken.conf", "names no kernel"},
		{"dir.conf", "not a regular file"},
		{"large.conf", "boot entry size limit: at most 64 KiB"},
		{"missing.conf", "/none, which is missing"},
		{"notes.txt", "does not end in .conf"},
		{"x.conf.tmp", "does not end in .conf"},
	}
	for i, f := range files {
		if i >= len(want) || f.File != want[i].file {
			t.Errorf("entry %d is %s; want another", i, f.File)
			continue
		}
		if (f.Err == nil) != (want[i].err == "") || f.Err != nil && !strings.Contains(f.Err.Error(), want[i].err) {
			t.Errorf("entry %s has the error %v; want %q", f.File, f.Err, want[i].err)
		}
	}
	if len(files) != len(want) {
		t.Errorf("Entries returned %d entries; want %d", len(files), len(want))
	}
	if f, ok := Next(files); !ok || f.Target.ID != id("b") || f.Good() {
		t.Errorf("Next = %s, %v; want b's, on trial", f.File, ok)
	}
}

func TestEntriesNone(t *testing.T) {
	files, err := open(t, t.TempDir(), nil).Entries()
	if len(files) != 0 || err != nil {
		t.Errorf("Entries of an empty partition = %v, %v; want none", files, err)
	}
	if f, ok := Next(files); ok {
		t.Errorf("Next = %s; want none", f.File)
	}
}
