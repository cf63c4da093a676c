package diff

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/verity"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
)

func parse(t *testing.T, lines ...string) *tree.Node {
	t.Helper()
	dump := "/ 0 40755 2 0 0 0 1.0 - - -\n" + strings.Join(lines, "\n") + "\n"
	root, err := tree.ParseDump(strings.NewReader(strings.TrimSpace(dump)))
	if err != nil {
		t.Fatal(err)
	}
	return root
}

func trees(t *testing.T, old, now *tree.Node, o Options) Diff {
	t.Helper()
	d, err := Trees(old, now, o)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestTrees(t *testing.T) {
	const file = "/f 1 100644 1 0 0 0 1.0 - a -"
	object := func(alg digest.Algorithm, content string) string {
		d := verity.Sum(alg, []byte(content))
		return fmt.Sprintf("/f %d 100644 1 0 0 0 1.0 %s - %s", len(content), d.ObjectPath(), d)
	}
	content := strings.Repeat("c", 70)
	inline := fmt.Sprintf("/f 70 100644 1 0 0 0 1.0 - %s -", content)
	tests := []struct{ name, old, new, want string }{
		{"same", file, file, ""},
		{"added", "", file, "+ /f"},
		{"removed", file, "", "- /f"},
		{"directories", "/d 0 40755 2 0 0 0 1.0 - - -", "", "- /d/"},
		{"content", file, "/f 1 100644 1 0 0 0 1.0 - b -", "~ /f  content"},
		{"size", file, "/f 2 100644 1 0 0 0 1.0 - ab -", "~ /f  content 1 bytes -> 2 bytes"},
		{"mode", file, "/f 1 104755 1 0 0 0 1.0 - a -", "~ /f  mode 0644 -> 4755"},
		{"owner", file, "/f 1 100644 1 0 7 0 1.0 - a -", "~ /f  owner 0:0 -> 0:7"},
		{"mtime", file, "/f 1 100644 1 0 0 0 1.5 - a -", "~ /f  mtime 1970-01-01T00:00:01Z -> 1970-01-01T00:00:01.000000005Z"},
		{"xattrs", file + " user.a=1 user.b=2", file + " user.b=3 user.c=4", `~ /f  xattr -user.a, xattr user.b "2" -> "3", xattr +user.c="4"`},
		{"type", file, "/f 1 120777 1 0 0 0 1.0 a - -", "~ /f  type file -> symbolic link, mode 0644 -> 0777"},
		{"target", "/f 1 120777 1 0 0 0 1.0 a - -", "/f 1 120777 1 0 0 0 1.0 b - -", `~ /f  target "a" -> "b"`},
		{"device", "/f 0 20600 1 0 0 259 1.0 - - -", "/f 0 20600 1 0 0 1048577 1.0 - - -", "~ /f  device 1:3 -> 0:257"},
		{"links", file, "/f 1 100644 9 0 0 0 1.0 - a -", "~ /f  links 1 -> 9"},
		{"subdirectories do not count", "/d 0 40755 2 0 0 0 1.0 - - -", "/d 0 40755 9 0 0 0 1.0 - - -", ""},
		{"inline and digest", inline, object(digest.SHA256, content), ""},
		{"digest and inline", object(digest.SHA512, content), inline, ""},
		{"inline and another digest", inline, object(digest.SHA256, "x"+content[1:]), "~ /f  content"},
		{"digests", object(digest.SHA256, content), object(digest.SHA256, "x"+content[1:]), "~ /f  content"},
		{"algorithms", object(digest.SHA256, content), object(digest.SHA512, content), "? /f"},
		{"algorithms and sizes", object(digest.SHA256, content), object(digest.SHA512, content+"x"), "~ /f  content 70 bytes -> 71 bytes"},
		{"odd names", "", `/\x1b[31m 0 10644 1 0 0 0 1.0 - - -`, `+ "/\x1b[31m"`},
		{"a directory became a file", "/f 0 40755 2 0 0 0 1.0 - - -\n/f/g 1 100644 1 0 0 0 1.0 - a -", "/f 1 100755 1 0 0 0 1.0 - a -",
			"~ /f  type directory -> file\n- /f/g"},
	}
	for _, tt := range tests {
		d := trees(t, parse(t, tt.old), parse(t, tt.new), Options{})
		var got []string
		for _, c := range d.Changes {
			got = append(got, c.String())
		}
		for _, path := range d.Unknown {
			got = append(got, "? "+path)
		}
		if s := strings.Join(got, "\n"); s != tt.want {
			t.Errorf("%s: Trees = %q; want %q", tt.name, s, tt.want)
		}
	}
}

func TestIgnore(t *testing.T) {
	old := parse(t, "/f 1 100644 1 0 0 0 1.0 - a -", "/g 1 100644 1 0 0 0 1.0 - a -")
	now := parse(t, "/f 1 100644 1 0 0 0 2.0 - a -", "/g 1 100600 1 0 0 0 2.0 - a -")
	d := trees(t, old, now, Options{Ignore: Mtime})
	if len(d.Changes) != 1 || d.Changes[0].String() != "~ /g  mode 0644 -> 0600" {
		t.Errorf("Trees without times = %v; want the mode of /g", d.Changes)
	}
}

// Contents that the trees do not tell apart are compared by whoever can read them.
func TestContents(t *testing.T) {
	object := func(alg digest.Algorithm) *tree.Node {
		d := verity.Sum(alg, []byte("content"))
		return parse(t, fmt.Sprintf("/f 7 100644 1 0 0 0 1.0 %s - %s", d.ObjectPath(), d))
	}
	broken := errors.New("broken")
	for _, tt := range []struct {
		name    string
		old     *tree.Node
		same    bool
		err     error
		changes int
	}{
		{"same", object(digest.SHA256), true, nil, 0},
		{"different", object(digest.SHA256), false, nil, 1},
		{"an error", object(digest.SHA256), false, broken, 0},
		{"the trees tell", object(digest.SHA512), false, broken, 0},
	} {
		asked := false
		d, err := Trees(tt.old, object(digest.SHA512), Options{Contents: func(a, b *tree.Node) (bool, error) {
			asked = a == tt.old.Entry("f") && b.IsRegular()
			return tt.same, tt.err
		}})
		if wantAsked := tt.name != "the trees tell"; asked != wantAsked {
			t.Errorf("%s: Contents was called: %t; want %t", tt.name, asked, wantAsked)
		}
		if len(d.Changes) != tt.changes || len(d.Unknown) > 0 || asked && !errors.Is(err, tt.err) {
			t.Errorf("%s: Trees = %v, %v; want %d changes", tt.name, d, err, tt.changes)
		}
	}
}

// Each goes where the nodes differ, and not where it is told to stay away.
func TestEach(t *testing.T) {
	const old = "/a 0 40755 2 0 0 0 1.0 - - -\n/a/x 1 100644 1 0 0 0 1.0 - a -\n/c 0 40755 2 0 0 0 1.0 - - -\n/c/y 1 100644 1 0 0 0 1.0 - a -"
	const new = "/a 0 40755 2 0 0 0 1.0 - - -\n/b 1 100644 1 0 0 0 1.0 - a -"
	var got []string
	err := Each(parse(t, old), parse(t, new), func(path string, old, now *tree.Node) error {
		got = append(got, fmt.Sprint(path, " ", old != nil, " ", now != nil))
		if path == "/c" {
			return fs.SkipDir
		}
		return nil
	})
	want := []string{"/ true true", "/a true true", "/a/x true false", "/b false true", "/c true false"}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("Each = %v after %q; want %q", err, got, want)
	}
}

// Names and ParseAspects are two sides of one table.
func TestAspects(t *testing.T) {
	all, err := ParseAspects(Names())
	if err != nil || all != Links<<1-1 {
		t.Errorf("ParseAspects(Names()) = %s, %v; want all there are", all, err)
	}
	if _, err := ParseAspects([]string{"smell"}); err == nil {
		t.Error("ParseAspects took an aspect that is none")
	}
}

// Contents have a digest each: that of the image, and of the algorithm that it
// has if they are inline. One that is not known is left out.
func TestContentDetail(t *testing.T) {
	content := strings.Repeat("c", 70)
	sum := func(alg digest.Algorithm, content string) string { return verity.Sum(alg, []byte(content)).String() }
	d := verity.Sum(digest.SHA256, []byte(content))
	object := fmt.Sprintf("/f 70 100644 1 0 0 0 1.0 %s - %s", d.ObjectPath(), d)
	for _, tt := range []struct{ name, old, new, wantOld, wantNew string }{
		{"inline", "/f 1 100644 1 0 0 0 1.0 - a -", "/f 1 100644 1 0 0 0 1.0 - b -", sum(digest.SHA512, "a"), sum(digest.SHA512, "b")},
		{"object", "/f 1 100644 1 0 0 0 1.0 - a -", object, sum(digest.SHA256, "a"), d.String()},
		{"empty", object, "/f 0 100644 1 0 0 0 1.0 - - -", d.String(), sum(digest.SHA256, "")},
		{"not known", "/f 7 100644 1 0 0 0 1.0 some/where - -", "/f 0 100644 1 0 0 0 1.0 - - -", "", sum(digest.SHA512, "")},
	} {
		what := trees(t, parse(t, tt.old), parse(t, tt.new), Options{}).Changes[0].What
		if len(what) != 1 || what[0].Old != tt.wantOld || what[0].New != tt.wantNew {
			t.Errorf("%s: the detail is %+v; want %s -> %s", tt.name, what, tt.wantOld, tt.wantNew)
		}
	}
}
