package packages

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
)

// rpmDatabase has rpm itself make a database of n packages, and returns it with
// what rpm says that is in it.
func rpmDatabase(t testing.TB, n int) (database []byte, want string) {
	t.Helper()
	for _, program := range []string{"rpm", "rpmbuild"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not installed", program)
		}
	}
	dir := t.TempDir()
	rpm := func(args ...string) string {
		t.Helper()
		cmd := exec.Command("rpm", append([]string{"--define", "_db_backend sqlite", "--dbpath", dir + "/db"}, args...)...)
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("rpm %q: %v", args, err)
		}
		return string(out)
	}
	rpm("--initdb")
	args := []string{"--install", "--justdb", "--nodeps", "--ignorearch"}
	rpm(append(args, rpmPackages(t, dir, n)...)...)
	want = rpm("-qa", "--queryformat", "%{NAME} %|EPOCH?{%{EPOCH}:}|%{VERSION}-%{RELEASE}\n")
	for _, log := range []string{"-wal", "-journal"} {
		if info, err := os.Stat(dir + "/db/rpmdb.sqlite" + log); err == nil && info.Size() > 0 {
			t.Fatalf("rpm leaves a log of %d bytes", info.Size())
		}
	}
	database, err := os.ReadFile(dir + "/db/rpmdb.sqlite")
	if err != nil {
		t.Fatal(err)
	}
	return database, want
}

// rpmPackages builds packages, of which some have headers that need many pages.
func rpmPackages(t testing.TB, dir string, n int) []string {
	t.Helper()
	var spec strings.Builder
	fmt.Fprintf(&spec, "Name: example\nVersion: 1.0\nRelease: 1\nSummary: x\nLicense: x\nBuildArch: noarch\n%%description\nx\n%%files\n")
	for i := range n {
		fmt.Fprintf(&spec, "%%package -n p%d\nSummary: x\nVersion: %d.%d\nRelease: %d~rc1\n", i, i, i%7, i%3+1)
		if i%4 == 0 {
			fmt.Fprintf(&spec, "Epoch: %d\n", i)
		}
		fmt.Fprintf(&spec, "%%description -n p%d\n%s\n%%files -n p%d\n", i, strings.Repeat("many words ", i*i), i)
	}
	file := filepath.Join(dir, "example.spec")
	if err := os.WriteFile(file, []byte(spec.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("rpmbuild", "--define", "_topdir "+dir+"/build", "--quiet", "-bb", file).CombinedOutput()
	if err != nil {
		t.Fatalf("rpmbuild: %v\n%s", err, out)
	}
	packages, err := filepath.Glob(dir + "/build/RPMS/noarch/*.rpm")
	if err != nil || len(packages) != n+1 {
		t.Fatalf("rpmbuild has made %d packages, %v; want %d", len(packages), err, n+1)
	}
	return packages
}

// TestRPM reads what rpm has written: a table of several levels, rows of several
// pages.
func TestRPM(t *testing.T) {
	const n = 120
	database, text := rpmDatabase(t, n)
	want := make(map[string]string)
	for line := range strings.Lines(text) {
		name, version, _ := strings.Cut(strings.TrimSpace(line), " ")
		want[name] = version
	}
	lists, err := Of(fstest.MapFS{"usr/lib/sysimage/rpm/rpmdb.sqlite": {Data: database}, "usr/lib/sysimage/rpm/rpmdb.sqlite-wal": {}})
	if err != nil || len(lists) != 1 || lists[0].Manager != "rpm" {
		t.Fatalf("Of(rpm) = %v, %v", lists, err)
	}
	if got := lists[0].Packages; len(got) != n+1 || len(want) != n+1 {
		t.Errorf("%d packages; rpm says %d, of %d", len(got), len(want), n+1)
	}
	for _, p := range lists[0].Packages {
		if p.Version != want[p.Name] {
			t.Errorf("%s has version %q; rpm says %q", p.Name, p.Version, want[p.Name])
		}
	}

	// What is in the log only would be missing.
	_, err = Of(fstest.MapFS{"var/lib/rpm/rpmdb.sqlite": {Data: database}, "var/lib/rpm/rpmdb.sqlite-wal": {Data: []byte("x")}})
	if !errors.Is(err, errJournal) {
		t.Errorf("Of(rpm with a log) error = %v; want one about the log", err)
	}
	for _, n := range []int{0, 50, 512, 4096, len(database) / 2} {
		if list, err := parseRPM(database[:n]); err == nil {
			t.Errorf("parseRPM(the first %d bytes) = %v; want an error", n, list)
		}
	}
}

// TestArchitectures: a name that several packages have says which of them.
func TestArchitectures(t *testing.T) {
	row := func(name, arch string) []byte { return rpmHeader(name, "2.41", "1.fc43", arch) }
	database := sqliteWith(t, row("glibc", "x86_64"), row("glibc", "i686"), row("bash", "x86_64"), row("gpg-pubkey", "(none)"))
	list, err := Of(fstest.MapFS{"usr/share/rpm/rpmdb.sqlite": {Data: database}})
	want := "[{rpm [{bash 2.41-1.fc43 0} {glibc.i686 2.41-1.fc43 0} {glibc.x86_64 2.41-1.fc43 0}] false}]"
	if err != nil || fmt.Sprint(list) != want {
		t.Errorf("Of = %v, %v; want %s", list, err, want)
	}
}

// TestJournal: a list is complete, or an error, also where contents are not at hand
// or nothing can be said of the log.
func TestJournal(t *testing.T) {
	database := sqliteWith(t, rpmHeader("bash", "5.3", "1", "noarch"))
	root := &tree.Node{Mode: tree.TypeDir | 0o755}
	root.Set("rpmdb.sqlite", &tree.Node{Mode: tree.TypeRegular | 0o644, Size: uint64(len(database)), Inline: database})
	node := tree.FS(root, func(*tree.Node) (io.ReadCloser, error) { return nil, errors.New("no content") })
	if list, err := readRPM(node, "rpmdb.sqlite"); err != nil || len(list) != 1 {
		t.Errorf("readRPM without a log = %v, %v; want bash", list, err)
	}
	root.Set("rpmdb.sqlite-wal", &tree.Node{Mode: tree.TypeRegular | 0o644, Size: 100})
	if list, err := readRPM(node, "rpmdb.sqlite"); !errors.Is(err, errJournal) {
		t.Errorf("readRPM(a log that is not at hand) = %v, %v; want %v", list, err, errJournal)
	}
	broken := errors.New("input/output error")
	if list, err := readRPM(noLog{node, broken}, "rpmdb.sqlite"); !errors.Is(err, broken) {
		t.Errorf("readRPM(a log that cannot be asked for) = %v, %v; want %v", list, err, broken)
	}
}

// TestHostileRPM: a small database is no long list, nor one of long names.
func TestHostileRPM(t *testing.T) {
	const rows = 200
	again := sqliteWith(t, rpmHeader("bash", "5.3", "1", "noarch"))
	binary.BigEndian.PutUint16(again[testPage+3:], rows)
	cells := again[testPage+8:]
	for i := range rows {
		copy(cells[2*i:], cells[:2])
	}
	if list, err := parseRPM(again); !errors.Is(err, errSQLite) {
		t.Errorf("parseRPM(one row %d times) = %d packages, %v; want %v", rows, len(list), err, errSQLite)
	}
	long := strings.Repeat("x", maxText+1)
	for _, p := range [][2]string{{long, "1"}, {"x", long}} {
		if got, err := parseRPMHeader(rpmHeader(p[0], p[1], "1", "noarch")); !errors.Is(err, errRPM) {
			t.Errorf("parseRPMHeader(a name or version of %d bytes) = %.20s, %v; want %v", len(long), got.name, err, errRPM)
		}
	}
	many := record(bytes.Repeat([]byte{8}, 100), nil, nil, nil)
	if columns, _, err := parseRow(many); !errors.Is(err, errSQLite) {
		t.Errorf("parseRow = %d columns, %v; want %v", len(columns), err, errSQLite)
	}
}

// noLog is a file system of which Stat fails.
type noLog struct {
	fs.FS
	err error
}

func (n noLog) Stat(string) (fs.FileInfo, error) { return nil, n.err }

func FuzzRPM(f *testing.F) {
	f.Add(sqliteWith(f, rpmHeader("bash", "5.3", "1", "noarch")))
	f.Add([]byte(sqliteMagic))
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := parseRPM(data)
		for _, p := range list {
			if err != nil || p.Name == "" {
				t.Errorf("parseRPM has %+v, error %v", p, err)
			}
		}
	})
}

func FuzzRPMHeader(f *testing.F) {
	f.Add(rpmHeader("bash", "5.3", "1", "noarch"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if p, err := parseRPMHeader(data); err == nil && p.name == "" {
			t.Errorf("parseRPMHeader(%q) = %+v", data, p)
		}
	})
}

// TestRPMSize: a size has 32 or 64 bits, and one of another type counts as unknown.
func TestRPMSize(t *testing.T) {
	for _, tt := range []struct {
		tag, kind uint32
		value     string
		want      int64
	}{
		{rpmSize, rpmInt32, "\x80\x00\x00\x01", 1<<31 + 1}, {rpmLarge, rpmInt64, "\x00\x00\x00\x02\x00\x00\x00\x00", 1 << 33},
		{rpmSize, rpmString, "7\x00  ", 0}, {rpmLarge, rpmInt64, "\x00", 0}, {rpmLarge, rpmInt64, "\xff\x00\x00\x02\x00\x00\x00\x00", 0},
	} {
		var p rpmPackage
		if err := p.set(tt.tag, tt.kind, []byte(tt.value)); err != nil || p.size != tt.want {
			t.Errorf("set(%d, %d, %q): size %d, %v; want %d", tt.tag, tt.kind, tt.value, p.size, err, tt.want)
		}
	}
}
