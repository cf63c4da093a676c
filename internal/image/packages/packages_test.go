package packages

import (
	"fmt"
	"io/fs"
	"reflect"
	"slices"
	"testing"
	"testing/fstest"
)

const status = `Package: base-files
Status: install ok installed
Version: 13.8
Installed-Size: 340
Description: two
 Version: not this
 .

Package: gone
Status: deinstall ok config-files
Version: 1

Package: libc6
Status: install ok installed
Multi-Arch: same
Architecture: amd64
Version: 2.41-12
`

func TestOf(t *testing.T) {
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	tests := []struct {
		name string
		fsys fstest.MapFS
		want string
	}{
		{"nothing", fstest.MapFS{}, "[]"},
		{"dpkg", fstest.MapFS{"var/lib/dpkg/status": file(status)}, "[{dpkg [{base-files 13.8 348160} {libc6:amd64 2.41-12 0}] false}]"},
		{"empty", fstest.MapFS{"var/lib/dpkg/status": file("")}, "[]"},
		{"distroless", fstest.MapFS{
			"var/lib/dpkg/status.d/base":         file("Package: base\nVersion: 1\n"),
			"var/lib/dpkg/status.d/base.md5sums": file("Package: no\n"),
		}, "[{dpkg [{base 1 0}] false}]"},
		{"pacman", fstest.MapFS{
			"usr/lib/sysimage/lib/pacman/local/ALPM_DB_VERSION":            file("9\n"),
			"usr/lib/sysimage/lib/pacman/local/gcc-libs-15.1.1-2/desc":     file("%NAME%\ngcc-libs\n\n%SIZE%\n4096\n"),
			"usr/lib/sysimage/lib/pacman/local/ca-utils-1:20240618-1/desc": file(""),
		}, "[{pacman [{ca-utils 1:20240618-1 0} {gcc-libs 15.1.1-2 4096}] false}]"},
		{"rpm of SUSE", fstest.MapFS{"usr/lib/sysimage/rpm/Packages.db": file("RpmP")}, "[{rpm [] true}]"},
	}
	for _, tt := range tests {
		got, err := Of(tt.fsys)
		if err != nil || fmt.Sprint(got) != tt.want {
			t.Errorf("Of(%s) = %v, %v; want %s", tt.name, got, err, tt.want)
		}
	}
}

func TestDiff(t *testing.T) {
	old := []Package{{"a", "1", 1}, {"b", "1", 1}, {"d", "1", 1}}
	now := []Package{{"b", "2", 1}, {"c", "1", 1}, {"d", "1", 1}}
	want := []Change{{"a", "1", ""}, {"b", "1", "2"}, {"c", "", "1"}}
	if got := Diff(old, now); !reflect.DeepEqual(got, want) {
		t.Errorf("Diff(%v, %v) = %v; want %v", old, now, got, want)
	}
	old = []Package{{"kernel", "1", 1}, {"kernel", "2", 1}, {"x", "1", 1}}
	now = []Package{{"kernel", "2", 1}, {"kernel", "3", 1}, {"x", "1", 1}, {"x", "1", 1}, {"x", "2", 1}}
	want = []Change{{"kernel", "1", "3"}, {"x", "", "1"}, {"x", "", "2"}}
	if got := Diff(old, now); !reflect.DeepEqual(got, want) {
		t.Errorf("Diff(%v, %v) = %v; want %v", old, now, got, want)
	}
	if got := Diff(old, old); got != nil {
		t.Errorf("Diff of one list = %v; want nothing", got)
	}
}

// What only one of two systems tells is no difference between them, also not of sizes.
func TestCompareUnread(t *testing.T) {
	good := fstest.MapFS{"var/lib/dpkg/status": {Data: []byte(status), Mode: 0o644}}
	for name, file := range map[string]string{"damaged": "var/lib/rpm/rpmdb.sqlite", "unsupported": "var/lib/rpm/Packages"} {
		other := fstest.MapFS{file: {Data: []byte("x"), Mode: 0o644}}
		c := Compare(other, good, [2]string{"a", "b"})
		if name == "unsupported" { // only that of the other manager can be compared
			c.New, c.Diffs = without(c.New, "dpkg"), nil
		}
		if packages := append(slices.Clone(c.Old), c.New...); len(c.Notes) != 1 || len(c.Diffs) > 0 || slices.ContainsFunc(packages, func(l List) bool { return len(l.Packages) > 0 }) {
			t.Errorf("%s: %+v", name, c)
		}
	}
}

func without(lists []List, manager string) []List {
	return slices.DeleteFunc(lists, func(l List) bool { return l.Manager == manager })
}

func FuzzStatus(f *testing.F) {
	f.Add([]byte(status))
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := Of(fstest.MapFS{"var/lib/dpkg/status": {Data: data, Mode: fs.FileMode(0o644)}})
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range list {
			for _, p := range l.Packages {
				if p.Name == "" {
					t.Errorf("a package without a name in %q", data)
				}
			}
		}
	})
}
