package sysusers

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/format/confd"
)

// lines are read by systemd-sysusers, too. Those before the first empty one are valid.
const lines = `# comment
u a
u a2 -
u a3 5000
u a5 5002:grp
u hh -:newgrp
g grp 6000
g g2
m mm mg
m a grp
r - 700-800
r - 900
u desc - "De sc" /home/x /bin/sh
u UPPER
u pp /usr
u tab	7001
  u indent
u gg -:6000
u _apt
u q"u"ot'e'
u back\slash

; no comment
u
u "q q"
u sp "1234
u rel - "x" home
u rel2 - "x" /h bin/sh
u many - x /h /s extra
g gd - desc
u 1num
u a-b.c
u a$
u n1 99999999999
u n2 banana
u n3 65535
u n4 5:x:y
g n5 5:6
m m1
m m2 -
m m3 a:b
u %%x
u x%Q
u colon:x
u col2 - "a:b"
r x 1-2
r - 9-3
r - x
r -
u longnamelongnamelongnamelongname
u 0
u .dot
u -dash
U x
u? x
g! x
x y
""
u ""
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
		if e, err := ParseLine(line, confd.OfImage(nil)); (err == nil) != valid {
			t.Errorf("ParseLine(%q) = %+v, %v; valid: %v", line, e, err, valid)
		}
	}
	want := Entry{User, true, "systemd-network", "-:998", "Net Work", "/", "/bin/sh"}
	if got, err := ParseLine(`u! systemd-network -:998 "Net Work" / /bin/sh`, nil); got != want || err != nil {
		t.Errorf("ParseLine() = %+v, %v; want %+v", got, err, want)
	}
}

// TestLoad compares the accounts with those that systemd-sysusers makes, and the lines
// without effect with those of which it complains.
func TestLoad(t *testing.T) {
	root := t.TempDir()
	write(t, root, "usr/lib/sysusers.d/lines.conf", lines)
	write(t, root, "usr/lib/sysusers.d/masked.conf", "u masked")
	write(t, root, "usr/lib/sysusers.d/other.conf", "u below")
	write(t, root, "etc/sysusers.d/other.conf", "u above")
	for _, name := range []string{"passwd", "group", "shadow", "gshadow"} {
		write(t, root, "etc/"+name, "")
	}
	if err := os.Symlink("/dev/null", filepath.Join(root, "etc/sysusers.d/masked.conf")); err != nil {
		t.Fatal(err)
	}
	set, err := Load(os.DirFS(root), nil)
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprint(slices.Sorted(maps.Keys(set.Users)), slices.Sorted(maps.Keys(set.Groups)))
	const want = "[UPPER _apt a a2 a3 a5 above backslash desc gg hh indent mm pp quote tab] " +
		"[UPPER _apt a a2 a3 above backslash desc g2 grp indent mg mm pp quote tab]"
	if got != want {
		t.Errorf("Load() has %s; want %s", got, want)
	}
	if unmet := set.Unmet(nil); len(unmet) != 1 || unmet[0].Line != 6 {
		t.Errorf("Unmet() = %v; want the line for hh", unmet)
	}
	if unmet := set.Unmet(map[string]bool{"newgrp": true}); unmet != nil {
		t.Errorf("Unmet(newgrp) = %v; want none", unmet)
	}
	tool, err := exec.LookPath("systemd-sysusers")
	if err != nil {
		t.Skip("systemd-sysusers is not installed")
	}
	if os.Getuid() != 0 {
		t.Skip("only root may make accounts")
	}
	out, _ := exec.Command(tool, "--root="+root).CombinedOutput() // it fails for invalid lines
	got = strings.Replace(got, " hh", "", 1)                      // there is no newgrp
	if theirs := fmt.Sprint(namesOf(t, root, "passwd"), namesOf(t, root, "group")); theirs != got {
		t.Errorf("Load() has %s; systemd-sysusers made %s\n%s", got, theirs, out)
	}
	var ours []string
	for _, p := range set.Problems {
		ours = append(ours, fmt.Sprint(p.Line))
	}
	if theirs := complaints(string(out)); !slices.Equal(ours, theirs) {
		t.Errorf("invalid lines: %v; systemd-sysusers has %v\n%s", ours, theirs, out)
	}
}

// complaint is how systemd names a line in an error.
var complaint = regexp.MustCompile(`(?m)lines\.conf:(\d+): `)

// complaints returns the lines in errors.
func complaints(out string) (numbers []string) {
	for _, m := range complaint.FindAllStringSubmatch(out, -1) {
		numbers = append(numbers, m[1])
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

// namesOf returns the names in a database of accounts, sorted.
func namesOf(t *testing.T, root, database string) (names []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "etc", database))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		name, _, _ := strings.Cut(line, ":")
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func FuzzParseLine(f *testing.F) {
	for line := range strings.Lines(lines) {
		f.Add(strings.TrimSpace(line))
	}
	specifiers := confd.OfImage(map[string]string{"ID": "debian"})
	f.Fuzz(func(t *testing.T, line string) {
		e, err := ParseLine(line, specifiers)
		if err != nil {
			return
		}
		if again, err := ParseLine(e.String(), specifiers); again != e || err != nil {
			t.Errorf("ParseLine(%q) = %+v; as %q it is %+v, %v", line, e, e, again, err)
		}
	})
}
