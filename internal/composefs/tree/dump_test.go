package tree

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// dumps are those that the writers of images are tested with.
func dumps(t testing.TB) []string {
	t.Helper()
	names, err := filepath.Glob("../erofs/testdata/*.dump")
	if err != nil || len(names) == 0 {
		t.Fatalf("no dumps in ../erofs/testdata: %v", err)
	}
	return names
}

// TestDumpRoundTrip reads the dumps that other programs wrote; what WriteDump
// makes of them is the same line for line.
func TestDumpRoundTrip(t *testing.T) {
	for _, name := range dumps(t) {
		want, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		root, err := ParseDump(bytes.NewReader(want))
		if err != nil {
			t.Errorf("ParseDump(%s): %v", name, err)
			continue
		}
		var got bytes.Buffer
		if err := WriteDump(&got, root); err != nil {
			t.Fatal(err)
		}
		if diff := firstDifference(got.String(), string(want)); diff != "" {
			t.Errorf("WriteDump(ParseDump(%s)): %s", name, diff)
		}
	}
}

func firstDifference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range max(len(g), len(w)) {
		if i >= len(g) || i >= len(w) {
			return fmt.Sprintf("%d lines; want %d", len(g), len(w))
		}
		if g[i] != w[i] {
			return fmt.Sprintf("line %d = %q; want %q", i+1, g[i], w[i])
		}
	}
	return ""
}

const rootLine = "/ 0 40755 2 0 0 0 0.0 - - -\n"

func TestParseDumpLine(t *testing.T) {
	const d = "1e2eaa4202d750a41174ee454970b92c1bc2f925b1e35076d8c7d5f56362ba64"
	tests := []struct{ line, want string }{
		// What is not written the canonical way is understood.
		{`/\x61 0 100644 1 0 0 0 -1.5 - - -`, `/a 0 100644 1 0 0 0 -1.5 - - -`},
		{`/a 1 100644 1 0 0 0 0.0 - \x2d -`, `/a 1 100644 1 0 0 0 0.0 - \x2d -`},
		{`/a 5 120777 1 0 0 0 0.0 \x2d - -`, `/a 1 120777 1 0 0 0 0.0 \x2d - -`},
		{"/a 11 100644 1 0 0 0 0.0 - - " + d, "/a 11 100644 1 0 0 0 0.0 - - " + d},
		{"/a 11 100644 1 0 0 0 0.0 " + d[:2] + "/" + d[2:] + " - " + d, "/a 11 100644 1 0 0 0 0.0 " + d[:2] + "/" + d[2:] + " - " + d},
		{"/a 11 100644 1 0 0 0 0.0 x/y - -", "/a 11 100644 1 0 0 0 0.0 x/y - -"},
		{`/a 0 20644 1 0 0 259 0.0 - - - user.b=1 user.a= user.b=2\x3d`, `/a 0 20644 1 0 0 259 0.0 - - - user.a= user.b=2\x3d`},
		{`/a 5 100644 1 0 0 0 0.0 - \xff\x00\n\\\t -`, `/a 5 100644 1 0 0 0 0.0 - \xff\x00\n\\\t -`},
	}
	for _, tt := range tests {
		for _, end := range []string{"", "\n"} {
			root, err := ParseDump(strings.NewReader(rootLine + tt.line + end))
			if err != nil {
				t.Errorf("ParseDump(%q): %v", tt.line, err)
				continue
			}
			var got bytes.Buffer
			if err := WriteDump(&got, root); err != nil {
				t.Fatal(err)
			}
			if want := rootLine + tt.want + "\n"; got.String() != want {
				t.Errorf("ParseDump(%q) = %q; want %q", tt.line, got.String(), want)
			}
		}
	}
}

func TestParseDumpRefuses(t *testing.T) {
	tests := []struct{ dump, want string }{
		{"", "it is empty"},
		{"\n", "line 1: ends before the size"},
		{"/a 0 40755 2 0 0 0 0.0 - - -\n", `path is "/a": the first is that of the root`},
		{"/ 0 100644 2 0 0 0 0.0 - - -\n", "the root is not a directory"},
		{rootLine + rootLine, "line 2: path \"/\": empty name"},
		{rootLine + "/a 0 100644 1 0 0 0 0.0 - -", "line 2: ends before the digest"},
		{rootLine + "/a 0 100644 1 0 0 0 0.0 - - - ", "ends with a space"},
		{rootLine + "/a  0 100644 1 0 0 0 0.0 - - -", "the size is empty"},
		{rootLine + "a 0 100644 1 0 0 0 0.0 - - -", "does not begin with a slash"},
		{rootLine + "/b/a 0 100644 1 0 0 0 0.0 - - -", `no line for "/b" before`},
		{rootLine + "/b 0 100644 1 0 0 0 0.0 - - -\n/b/a 0 100644 1 0 0 0 0.0 - - -", `"/b" is not a directory`},
		{rootLine + "/a 0 100644 1 0 0 0 0.0 - - -\n/a 0 100644 1 0 0 0 0.0 - - -", `line 3: "/a" is there already`},
		{rootLine + "/.. 0 100644 1 0 0 0 0.0 - - -", `".." is not a name`},
		{rootLine + `/a\x2fb 0 100644 1 0 0 0 0.0 - - -`, "has a slash"},
		{rootLine + `/a\x00 0 100644 1 0 0 0 0.0 - - -`, "NUL"},
		{rootLine + "/a\x00 0 100644 1 0 0 0 0.0 - - -", "NUL"},
		{rootLine + "/" + strings.Repeat("a", 256) + " 0 100644 1 0 0 0 0.0 - - -", "name of 256 bytes"},
		{rootLine + `/\q 0 100644 1 0 0 0 0.0 - - -`, "unknown escape"},
		{rootLine + `/\x6 0 100644 1 0 0 0 0.0 - - -`, "bad escape"},
		{rootLine + `/a\ 0 100644 1 0 0 0 0.0 - - -`, "backslash at the end"},
		{rootLine + "/a -1 100644 1 0 0 0 0.0 - - -", `size "-1" is not a number`},
		{rootLine + "/a 0 100648 1 0 0 0 0.0 - - -", `mode "100648" is not a number`},
		{rootLine + "/a 0 644 1 0 0 0 0.0 - - -", "has no file type"},
		{rootLine + "/a 0 1000000 1 0 0 0 0.0 - - -", "is too large"},
		{rootLine + "/a 0 100644 1 4294967296 0 0 0.0 - - -", `user "4294967296" is too large`},
		{rootLine + "/a 0 100644 1 0 0 5 0.0 - - -", "not a device"},
		{rootLine + "/a 0 100644 1 0 0 0 0 - - -", "has no dot"},
		{rootLine + "/a 0 100644 1 0 0 0 0.1000000000 - - -", "nanoseconds"},
		{rootLine + "/a 2 100644 1 0 0 0 0.0 - x -", "size is 2, but there are 1 bytes"},
		{rootLine + "/a 0 100644 1 0 0 0 0.0 - - abc", "has 3 characters"},
		{rootLine + "/a 0 120777 1 0 0 0 0.0 - - -", "symbolic link without a target"},
		{rootLine + "/a 0 40755 1 0 0 0 0.0 x - -", `payload "x": want -`},
		{rootLine + "/a 0 100644 1 0 0 0 0.0 - - - user.a", "has no ="},
		{rootLine + "/a 0 100644 1 0 0 0 0.0 - - - =b", "name of 0 bytes"},
		{rootLine + "/a 0 @120000 - - - - 0.0 /b - -", `line 2: hard link to "/b", which is not described`},
		{rootLine + "/a 0 @120000 - - - - 0.0 / - -", `hard link to "/"`},
		{rootLine + "/a 0 @120000 - - - - 0.0 /a - -", "not described"},
		{rootLine + "/a 0 @120000 - - - - 0.0 /b - -\n/b 0 40755 2 0 0 0 0.0 - - -", "is a directory"},
		{rootLine + "/a " + strings.Repeat("1", 3<<20), "longer than"},
	}
	for _, tt := range tests {
		_, err := ParseDump(strings.NewReader(tt.dump))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("ParseDump(%.200q) error = %v; want one with %q", tt.dump, err, tt.want)
		}
	}
}

// TestHardLinkBeforeItsTarget: the line without @ describes the file, wherever
// it stands, and a dump says so again.
func TestHardLinkBeforeItsTarget(t *testing.T) {
	const dump = rootLine +
		"/a 0 @120000 - - - - 0.0 /b/c - -\n" +
		"/b 0 40755 2 0 0 0 0.0 - - -\n" +
		"/b/c 0 100644 2 0 0 0 0.0 - - -\n" +
		"/b/d 0 @120000 - - - - 0.0 /b/c - -\n"
	root, err := ParseDump(strings.NewReader(dump))
	if err != nil {
		t.Fatal(err)
	}
	if a, c := root.Lookup("a"), root.Lookup("b/c"); a == nil || a != c {
		t.Errorf("/a is %p, /b/c is %p; want the same node", a, c)
	}
	var got bytes.Buffer
	if err := WriteDump(&got, root); err != nil {
		t.Fatal(err)
	}
	if got.String() != dump {
		t.Errorf("WriteDump = %q; want %q", got.String(), dump)
	}
	// Once its home is gone, the file is described where it is first met.
	root.Entry("b").Remove("c")
	got.Reset()
	if err := WriteDump(&got, root); err != nil {
		t.Fatal(err)
	}
	if want := rootLine + "/a 0 100644 2"; !strings.HasPrefix(got.String(), want) {
		t.Errorf("WriteDump without /b/c = %q; want it to begin with %q", got.String(), want)
	}
}

func FuzzParseDump(f *testing.F) {
	for _, name := range dumps(f) {
		dump, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(dump)
	}
	f.Add([]byte(rootLine + "/a 0 @120000 - - - - 0.0 /b - -\n/b 1 100644 1 0 0 0 0.0 - x -\n"))
	f.Fuzz(func(t *testing.T, dump []byte) {
		root, err := ParseDump(bytes.NewReader(dump))
		if err != nil {
			return
		}
		var first, second bytes.Buffer
		if err := WriteDump(&first, root); err != nil {
			t.Fatal(err)
		}
		again, err := ParseDump(bytes.NewReader(first.Bytes()))
		if err != nil {
			t.Fatalf("cannot read %q again: %v", first.String(), err)
		}
		if err := WriteDump(&second, again); err != nil {
			t.Fatal(err)
		}
		if first.String() != second.String() {
			t.Errorf("%q is written as %q, then as %q", dump, first.String(), second.String())
		}
	})
}
