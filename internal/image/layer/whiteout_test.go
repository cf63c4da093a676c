package layer

import (
	"archive/tar"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// lowest is a layer for others to hide.
func lowest(t *testing.T) *builder {
	return newBuilder(t).dir("d").add(tar.Header{Name: "d/sub", Typeflag: tar.TypeDir, Mode: 0o711}, "").file("d/sub/old", "old").file("d/x", "old")
}

const lowestList = "/ 40755\n/d 40755\n/d/sub 40711\n/d/sub/old 100644 \"old\"\n/d/x 100644 \"old\"\n"

// TestWhiteoutOrder: the entries of a layer make the same tree in whatever order they
// come, and those in which composefs-rs makes another one are known.
func TestWhiteoutOrder(t *testing.T) {
	type entries []func(*builder) *builder
	file := func(name, content string) func(*builder) *builder {
		return func(b *builder) *builder { return b.file(name, content) }
	}
	dir := func(name string) func(*builder) *builder {
		return func(b *builder) *builder { return b.dir(name) }
	}
	tests := []struct {
		name    string
		entries entries
		want    string
		late    []string // when the entries come in the order that is given
	}{
		{"a file is replaced", entries{file("d/x", "new"), file("d/.wh.x", "")}, strings.Replace(lowestList, `x 100644 "old"`, `x 100644 "new"`, 1), []string{"d/.wh.x"}},
		{"a directory is replaced", entries{dir("d/sub"), file("d/sub/new", "new"), file("d/.wh.sub", "")},
			"/ 40755\n/d 40755\n/d/sub 40755\n/d/sub/new 100644 \"new\"\n/d/x 100644 \"old\"\n", []string{"d/.wh.sub"}},
		{"by one without an entry", entries{file("d/sub/new", "new"), file("d/.wh.sub", "")},
			"/ 40755\n/d 40755\n/d/sub 40755\n/d/sub/new 100644 \"new\"\n/d/x 100644 \"old\"\n", []string{"d/.wh.sub"}},
		{"opaque", entries{file("d/new", "new"), dir("d/sub"), file("d/.wh..wh..opq", "")},
			"/ 40755\n/d 40755\n/d/new 100644 \"new\"\n/d/sub 40755\n", []string{"d/.wh..wh..opq"}},
		{"opaque root", entries{file("new", "new"), file(".wh..wh..opq", "")}, "/ 40755\n/new 100644 \"new\"\n", []string{".wh..wh..opq"}},
		{"a file, and a whiteout below it", entries{file("d/sub", "new"), file("d/sub/.wh.old", "")},
			"/ 40755\n/d 40755\n/d/sub 100644 \"new\"\n/d/x 100644 \"old\"\n", nil},
		{"a directory over a file, opaque as overlayfs has it", entries{dir("d/x"), file("d/x/.wh..wh..opq", ""), file("d/x/new", "new")},
			strings.Replace(lowestList, `x 100644 "old"`, "x 40755\n/d/x/new 100644 \"new\"", 1), nil},
		{"of nothing", entries{file("a/b/.wh.c", ""), file("a/c/.wh..wh..opq", ""), file("d/.wh.none", "")}, lowestList, nil},
	}
	for _, tt := range tests {
		for i, order := range permutations(len(tt.entries)) {
			upper := newBuilder(t)
			for _, k := range order {
				upper = tt.entries[k](upper)
			}
			m, err := mergeBytes(t, Merger{}, lowest(t).end(), upper.end())
			if err != nil {
				t.Errorf("%s, entries %v: %v", tt.name, order, err)
				continue
			}
			if got := list(m.Root); got != tt.want {
				t.Errorf("%s, entries %v: tree is\n%swant\n%s", tt.name, order, got, tt.want)
			}
			if i == 0 && !slices.Equal(m.Late, tt.late) {
				t.Errorf("%s: late whiteouts are %q; want %q", tt.name, m.Late, tt.late)
			}
		}
	}
}

// permutations returns the orders of n things, the first of them as they are.
func permutations(n int) [][]int {
	if n == 0 {
		return [][]int{nil}
	}
	var all [][]int
	for _, p := range permutations(n - 1) {
		for i := n - 1; i >= 0; i-- {
			all = append(all, slices.Insert(slices.Clone(p), i, n-1))
		}
	}
	return all
}

// mergeBytes merges archives as they are stored, and sees to it that they make the same
// without being stored.
func mergeBytes(t testing.TB, m Merger, archives ...[]byte) (*Merger, error) {
	t.Helper()
	for _, archive := range archives {
		objects, open, err := splitBytes(t, archive)
		if err != nil {
			return nil, err
		}
		r := open()
		defer r.Close()
		if err := m.apply(t.Context(), r, inMemory{objects}); err != nil {
			return nil, err
		}
	}
	return &m, nil
}

// TestInOrder: as composefs-rs has it.
func TestInOrder(t *testing.T) {
	tests := []struct {
		name  string
		upper *builder
		want  string // or the error, without a tree
	}{
		{"opaque hides what came before it", newBuilder(t).file("d/new", "n").file("d/.wh..wh..opq", ""), "/ 40755\n/d 40755\n"},
		{"and nothing after it", newBuilder(t).file("d/.wh..wh..opq", "").file("d/new", "n"), "/ 40755\n/d 40755\n/d/new 100644 \"n\"\n"},
		{"so does a whiteout", newBuilder(t).file("d/x", "new").file("d/.wh.x", ""), strings.Replace(lowestList, "/d/x 100644 \"old\"\n", "", 1)},
		{"a directory that no layer has", newBuilder(t).file("none/x", ""), `entry "none/x": its directory "/none" is not there`},
	}
	for _, tt := range tests {
		m, err := mergeBytes(t, Merger{InOrder: true}, lowest(t).end(), tt.upper.end())
		got := fmt.Sprint(err)
		if err == nil {
			got = list(m.Root)
		}
		if got != tt.want {
			t.Errorf("%s: %s; want %s", tt.name, got, tt.want)
		}
	}
}

// TestWhiteoutTypes: whatever type an entry has, its name makes it a whiteout.
func TestWhiteoutTypes(t *testing.T) {
	want := strings.Replace(lowestList, "/d/x 100644 \"old\"\n", "", 1)
	for _, h := range []tar.Header{
		{Typeflag: tar.TypeReg, Size: 100}, {Typeflag: tar.TypeDir}, {Typeflag: tar.TypeSymlink}, {Typeflag: tar.TypeSymlink, Linkname: "x"},
		{Typeflag: tar.TypeLink, Linkname: ".wh..wh.aufs"}, {Typeflag: tar.TypeLink, Linkname: "d"}, {Typeflag: tar.TypeChar, Devmajor: 1 << 20},
		{Typeflag: tar.TypeBlock}, {Typeflag: tar.TypeFifo}, {Typeflag: 'Z', Format: tar.FormatGNU},
	} {
		h.Name = "d/.wh.x"
		if root, err := applyBytes(t, lowest(t).end(), newBuilder(t).add(h, strings.Repeat("x", int(h.Size))).end()); err != nil {
			t.Errorf("type %q: %v", h.Typeflag, err)
		} else if got := list(root); got != want {
			t.Errorf("type %q: tree is\n%swant\n%s", h.Typeflag, got, want)
		}
	}
}

// TestAUFS: what AUFS keeps beside a tree is not in it; hard links lead there.
func TestAUFS(t *testing.T) {
	upper := newBuilder(t).file(".wh..wh.aufs", "").dir(".wh..wh.orph").dir(".wh..wh.plnk").file(".wh..wh.plnk/12.34", "shared").
		link("d/one", ".wh..wh.plnk/12.34").link("d/two", "/.wh..wh.plnk/12.34").link("d/.wh.x", ".wh..wh.aufs")
	root, err := applyBytes(t, lowest(t).end(), upper.end())
	if err != nil {
		t.Fatal(err)
	}
	const want = "/ 40755\n/d 40755\n/d/one 100644 \"shared\" (2 links)\n/d/sub 40711\n/d/sub/old 100644 \"old\"\n/d/two 100644 \"shared\" (2 links)\n"
	if got := list(root); got != want {
		t.Errorf("tree is\n%swant\n%s", got, want)
	}
}

// TestImplied: a directory that no layer has is made, one that a lower layer has is
// left as it is, and an entry that comes later counts.
func TestImplied(t *testing.T) {
	d711 := tar.Header{Name: "d/sub", Typeflag: tar.TypeDir, Mode: 0o700, Uid: 7}
	for name, tt := range map[string]struct {
		layers []*builder
		want   string
	}{
		"file":       {[]*builder{newBuilder(t).file("a/b/f", "")}, "/ 40755\n/a 40755\n/a/b 40755\n/a/b/f 100644 \"\"\n"},
		"directory":  {[]*builder{newBuilder(t).dir("a/b")}, "/ 40755\n/a 40755\n/a/b 40755\n"},
		"symlink":    {[]*builder{newBuilder(t).symlink("a/s", "x")}, "/ 40755\n/a 40755\n/a/s 120644 -> x\n"},
		"hard link":  {[]*builder{newBuilder(t).file("f", "").link("a/h", "f")}, "/ 40755\n/a 40755\n/a/h 100644 \"\" (2 links)\n/f 100644 \"\" (2 links)\n"},
		"whiteout":   {[]*builder{newBuilder(t).file("a/.wh.x", "").file("b/.wh..wh..opq", "")}, "/ 40755\n"},
		"below":      {[]*builder{lowest(t), newBuilder(t).file("d/sub/f", "")}, strings.Replace(lowestList, "/d/sub/old", "/d/sub/f 100644 \"\"\n/d/sub/old", 1)},
		"later":      {[]*builder{newBuilder(t).file("d/sub/f", "").add(d711, "")}, "/ 40755\n/d 40755\n/d/sub 40700\n/d/sub/f 100644 \"\"\n"},
		"next layer": {[]*builder{newBuilder(t).file("d/sub/f", ""), newBuilder(t).add(d711, "")}, "/ 40755\n/d 40755\n/d/sub 40700\n/d/sub/f 100644 \"\"\n"},
	} {
		var archives [][]byte
		for _, b := range tt.layers {
			archives = append(archives, b.end())
		}
		root, err := applyBytes(t, archives...)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := list(root); got != tt.want {
			t.Errorf("%s: tree is\n%swant\n%s", name, got, tt.want)
		}
	}
}

// TestNoPlace: what cannot be placed is refused, and says why.
func TestNoPlace(t *testing.T) {
	lib := func() *builder { return newBuilder(t).dir("usr").symlink("lib", "usr").file("file", "") }
	for name, tt := range map[string]struct {
		upper *builder
		want  string
	}{
		"below a symbolic link":          {newBuilder(t).file("lib/x", ""), `"/lib" is not a directory`},
		"below a file of its layer":      {newBuilder(t).file("new", "").file("new/x", ""), `entry "new/x": "/new" is not a directory`},
		"a whiteout below a link":        {newBuilder(t).file("lib/.wh.x", ""), `entry "lib/.wh.x": "/lib" is not a directory`},
		"below a whiteout":               {newBuilder(t).file("usr/.wh.x/y", ""), `it is below the whiteout ".wh.x"`},
		"link to a whiteout":             {newBuilder(t).file(".wh.x", "").link("y", ".wh.x"), `hard link to "/.wh.x", which is not there`},
		"link to a directory below":      {newBuilder(t).link("y", "usr"), `hard link to the directory "/usr"`},
		"link through a file":            {newBuilder(t).link("y", "file/x"), `hard link to "/file/x": "/file" is not a directory`},
		"link through a replaced parent": {newBuilder(t).dir("file").link("y", "file/x"), `hard link to "/file/x", which is not there`},
	} {
		if _, err := applyBytes(t, lib().end(), tt.upper.end()); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v; want %s", name, err, tt.want)
		}
	}
}
