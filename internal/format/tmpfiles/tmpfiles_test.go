package tmpfiles

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/format/confd"
)

// lines are read by systemd-tmpfiles, too. Those before the first empty one are valid.
const lines = `# comment
  # indented comment
   d /indent
d "/quo ted"
d '/sq'"x"
d /tail 0755 root root 10d argument is ignored
d /pct%%
d /odd%-x
d /end%
L+ /link - - - - /tgt with space
f /file 0644 root root - hello
f /file2 0644 :root 0
C /copied/nothing2 - nobody-here
d //dbl///slash/
d /a/./b
d /var/run/thing
d /m1 :0700
d /m2 ~1777
d /age - - - 1d12h
d /age2 - - - 2weeks 3d
d /age3 - - - aB:5min
d /age4 - - - ~bmCM:1h
D /truncated
e /only-adjusts
r /only-removes
R! /only-removes-at-boot
x /ignored
z /mode 0755
w /written - - - - text
C /copied/into
C /copied/nothing
C /copied/file - - - - /usr/share/factory/copied/into
d /boot/%o-y 0755
p /fifo

d rel
zz /x
d? rel
d /unbal "x
d
d /trailing\
d /bad%Q
d /m3 99999
d /m4 abc
d /age9 - - - banana
d /age8 - - - 1fortnight
y /y
t /t
w /w2
a /a2
c /c2
c /c3 - - - - 1
C /copy2 - - - - relative
""
`

// owned are lines for users and groups that are not there.
const owned = `d /owner 0755 nobody-here
d /group 0755 :root :nobody-here
d /both 0755 nobody-here nobody-here
`

func TestParseLine(t *testing.T) {
	valid := true
	for line := range strings.Lines(lines) {
		if line = strings.TrimSpace(line); line == "" {
			valid = false
			continue
		}
		if line[0] == '#' {
			continue
		}
		if l, err := ParseLine(line, confd.OfImage(nil).With(specifiers)); (err == nil) != valid {
			t.Errorf("ParseLine(%q) = %+v, %v; valid: %v", line, l, err, valid)
		}
	}
	want := Line{Type: 'L', Modifiers: "$+", Path: "/a b", Argument: `/x "y"`}
	if got, err := ParseLine(`L$+ /a\x20b - - - - /x "y"`, nil); got != want || err != nil {
		t.Errorf("ParseLine() = %+v, %v; want %+v", got, err, want)
	}
}

func TestMakes(t *testing.T) {
	root := t.TempDir()
	write(t, root, "usr/lib/tmpfiles.d/a.conf", "d /var/log/journal/%m\nC /var/lib/copied\nC /var/lib/nothing\nC /var/lib/other - - - - /usr/share/other\nd /var/a/b/c\nx /var/x\nd %C/%o-1\nL /var/run - - - - ../run\n")
	write(t, root, "usr/share/factory/var/lib/copied/deep/er", "x")
	write(t, root, "usr/share/other", "x")
	set, err := Load(os.DirFS(root), map[string]string{"ID": "debian"})
	if err != nil {
		t.Fatal(err)
	}
	for p, want := range map[string]bool{
		"/var/log/journal/0123": true, "/var/log/journal": false, "/var/log/journal/a/b": false, "/var/lib/copied": true,
		"/var/lib/copied/deep/er": true, "/var/lib/copied/more": false, "/var/lib/nothing": false, "/var/lib/other": true, "/var/lib": false, "/var/a/b/c": true, "/var/a/b": false, "/var/x": false, "/var/run": true, "/var/cache/debian-1": true,
	} {
		if got := set.Makes(p); got != want {
			t.Errorf("Makes(%s) = %v; want %v", p, got, want)
		}
	}
	if !set.Implies("/var/a") || !set.Implies("/var/log/journal") || set.Implies("/var/log/other") || set.Implies("/var/a/b/c") || set.Implies("/var/x") {
		t.Error("Implies() is wrong about what is above /var/a/b/c, or about it")
	}
}

// TestLoad compares what is made with what systemd-tmpfiles makes, and the lines without
// effect with those of which it complains.
func TestLoad(t *testing.T) {
	root := t.TempDir()
	write(t, root, "usr/lib/tmpfiles.d/lines.conf", lines+owned)
	write(t, root, "usr/lib/os-release", "ID=debian\n")
	write(t, root, "usr/share/factory/copied/into", "x")
	write(t, root, "etc/passwd", "root:x:0:0::/root:/bin/sh\n")
	write(t, root, "etc/group", "root:x:0:\n")
	set, err := Load(os.DirFS(root), map[string]string{"ID": "debian"})
	if err != nil {
		t.Fatal(err)
	}
	tool, err := exec.LookPath("systemd-tmpfiles")
	if err != nil {
		t.Skip("systemd-tmpfiles is not installed")
	}
	if os.Getuid() != 0 {
		t.Skip("only root may make all kinds of files")
	}
	out, _ := exec.Command(tool, "--root="+root, "--create", "--boot").CombinedOutput() // it fails for invalid lines
	compareTrees(t, root, &set)
	var ours []string
	known := map[string]bool{"root": true}
	for _, p := range append(set.Problems, set.Unmet(known, known)...) {
		ours = append(ours, fmt.Sprint(p.Line))
	}
	if theirs := complaints(string(out)); !slices.Equal(ours, theirs) {
		t.Errorf("invalid lines: %v; systemd-tmpfiles has %v\n%s", ours, theirs, out)
	}
}

// compareTrees wants set to make all that is below root, and nothing else.
func compareTrees(t *testing.T, root string, set *Set) {
	t.Helper()
	made := make(map[string]bool)
	err := filepath.WalkDir(root, func(name string, _ os.DirEntry, err error) error {
		name = strings.TrimPrefix(name, root)
		given := name == "" || strings.HasPrefix(name, "/usr") || strings.HasPrefix(name, "/etc")
		if made[name] = true; !given && !set.Makes(name) && !set.Implies(name) {
			t.Errorf("systemd-tmpfiles made %s, for which there is no line", name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for p := range set.byPath {
		if !made[p] && !strings.Contains(owned, p+" ") {
			t.Errorf("systemd-tmpfiles did not make %s", p)
		}
	}
}

// complaint is how systemd names a line in an error.
var complaint = regexp.MustCompile(`(?m)lines\.conf:(\d+): (.*)$`)

// complaints returns the lines that are in errors, not those of which only a part is ignored.
func complaints(out string) (numbers []string) {
	for _, m := range complaint.FindAllStringSubmatch(out, -1) {
		if !strings.HasSuffix(m[2], "ignoring.") && !strings.Contains(m[2], "legacy directory") {
			numbers = append(numbers, m[1])
		}
	}
	return numbers
}

func write(t *testing.T, root, name, text string) {
	t.Helper()
	name = filepath.Join(root, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(text), 0o644)); err != nil {
		t.Fatal(err)
	}
}

func FuzzParseLine(f *testing.F) {
	for line := range strings.Lines(lines) {
		f.Add(strings.TrimSpace(line))
	}
	all := confd.OfImage(map[string]string{"ID": "debian"}).With(specifiers)
	f.Fuzz(func(t *testing.T, line string) {
		l, err := ParseLine(line, all)
		if err != nil {
			return
		}
		if again, err := ParseLine(l.String(), all); again != l || err != nil {
			t.Errorf("ParseLine(%q) = %+v; as %q it is %+v, %v", line, l, l, again, err)
		}
	})
}
