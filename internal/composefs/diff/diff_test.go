package diff

import (
	"fmt"
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
		d := Trees(parse(t, tt.old), parse(t, tt.new), nil)
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
	new := parse(t, "/f 1 100644 1 0 0 0 2.0 - a -", "/g 1 100600 1 0 0 0 2.0 - a -")
	d := Trees(old, new, map[Aspect]bool{Mtime: true})
	if len(d.Changes) != 1 || d.Changes[0].String() != "~ /g  mode 0644 -> 0600" {
		t.Errorf("Trees without times = %v; want the mode of /g", d.Changes)
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
		what := Trees(parse(t, tt.old), parse(t, tt.new), nil).Changes[0].What
		if len(what) != 1 || what[0].Old != tt.wantOld || what[0].New != tt.wantNew {
			t.Errorf("%s: the detail is %+v; want %s -> %s", tt.name, what, tt.wantOld, tt.wantNew)
		}
	}
}
