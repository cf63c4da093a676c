package packages

import (
	"fmt"
	"io/fs"
	"reflect"
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
	new := []Package{{"b", "2", 1}, {"c", "1", 1}, {"d", "1", 1}}
	want := []Change{{"a", "1", ""}, {"b", "1", "2"}, {"c", "", "1"}}
	if got := Diff(old, new); !reflect.DeepEqual(got, want) {
		t.Errorf("Diff(%v, %v) = %v; want %v", old, new, got, want)
	}
	if got := Diff(old, old); got != nil {
		t.Errorf("Diff of one list = %v; want nothing", got)
	}
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
