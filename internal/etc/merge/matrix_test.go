package merge

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
	"github.com/sysupdate-image/sysupdate-image/internal/testing/ns"
	"github.com/sysupdate-image/sysupdate-image/internal/testing/sample"
)

// A matrix is a file of testdata/matrix: a base, what may have become of it here
// and in the new image, and for each pair of these what the merge makes of them.
// Where there is a conflict, that is said for both policies.
type matrix struct {
	file    string
	archive *txtar.Archive
	cases   []rebaseCase
}

// matrices returns all of them, with every pair.
func matrices(t *testing.T) []matrix {
	t.Helper()
	files, err := filepath.Glob("testdata/matrix/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	var all []matrix
	total := 0
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		m := matrix{file: file, archive: archive}
		for _, local := range m.variants("local/") {
			for _, next := range m.variants("new/") {
				m.cases = append(m.cases, m.pair(t, local, next)...)
			}
		}
		total += len(m.cases)
		all = append(all, m)
	}
	if total < 500 {
		t.Fatalf("%d cases; want at least 500", total)
	}
	return all
}

func (m matrix) variants(prefix string) []string {
	var names []string
	for _, f := range m.archive.Files {
		if name, ok := strings.CutPrefix(f.Name, prefix); ok {
			names = append(names, name)
		}
	}
	return names
}

// pair returns the case of two variants, or where there is a conflict one for
// each policy.
func (m matrix) pair(t *testing.T, local, next string) []rebaseCase {
	t.Helper()
	c := rebaseCase{archive: m.archive, name: local + "/" + next}
	c.base = parseTree(t, c.section("base"))
	c.local, c.new = m.tree(t, c, "local/"+local), m.tree(t, c, "new/"+next)
	c.opts = Options{Conflicts: deployment.ConflictsKeep, Aside: ".conflicts/id", Open: noObjects}
	if len(mustRebase(t, c.base, c.local, c.new, c.opts).Conflicts) == 0 {
		return []rebaseCase{c}
	}
	other := c
	c.name += "/keep"
	other.name += "/new"
	other.opts.Conflicts = deployment.ConflictsNew
	return []rebaseCase{c, other}
}

// tree returns a tree of nodes of its own.
func (m matrix) tree(t *testing.T, c rebaseCase, name string) *tree.Node {
	t.Helper()
	return parseTree(t, c.section(name))
}

func TestMatrix(t *testing.T) {
	for _, m := range matrices(t) {
		for _, c := range m.cases {
			result := mustRebase(t, c.base, c.local, c.new, c.opts)
			got := formatTree(t, result.Tree)
			for line := range strings.Lines(formatReport(result)) {
				got += "# " + line
			}
			if *update {
				c.set("want/"+c.name, got)
			}
			if want := c.section("want/" + c.name); got != want {
				t.Errorf("%s, %s:\n%swant:\n%s", m.file, c.name, got, want)
			}
		}
		if *update {
			if err := os.WriteFile(m.file, txtar.Format(m.archive), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// What must hold whatever local and next are.
func TestMatrixProperties(t *testing.T) {
	for _, m := range matrices(t) {
		for _, c := range m.cases {
			result := mustRebase(t, c.base, c.local, c.new, c.opts)
			switch local, rest, _ := strings.Cut(c.name, "/"); {
			case local == "unchanged" || local == "nothing":
				checkSame(t, m.file+" "+c.name, result.Tree, c.new)
			case rest == "unchanged" || rest == "nothing":
				checkSame(t, m.file+" "+c.name, result.Tree, c.local)
			}
			if len(result.Conflicts) > 0 && result.Aside == "" && c.opts.Conflicts == deployment.ConflictsNew {
				t.Errorf("%s %s: the loser of a conflict is nowhere", m.file, c.name)
			}
			again := mustRebase(t, c.new, result.Tree, clone(c.new), c.opts)
			checkSame(t, m.file+" "+c.name+", once more", again.Tree, result.Tree)
		}
	}
}

// Each case on disk, read from an upper directory or from a full copy, and
// written as either: the kernel shows what the merge in memory gives.
func TestMatrixOnDisk(t *testing.T) {
	ns.Run(t, func(t *testing.T) {
		ns.NeedRealRoot(t)
		for _, m := range matrices(t) {
			for i := 0; i < len(m.cases); i += sample.Stride() {
				c := m.cases[i]
				if !t.Run(filepath.Base(m.file)+"/"+c.name, func(t *testing.T) { onDisk(t, c) }) {
					return
				}
			}
		}
	})
}

func onDisk(t *testing.T, c rebaseCase) {
	dir := ns.Dir(t)
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "mode=0755"); err != nil {
		t.Fatal(err)
	}
	write := func(name string, tree *tree.Node, open Opener, lower *tree.Node) *os.File {
		t.Helper()
		top, err := os.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer top.Close()
		if err := (dirWriter{compare: compare{t.Context(), open}, lower: lower}).writeTree(top, name, tree); err != nil {
			t.Fatalf("write %s: %v", name, err)
		}
		f, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	upper, err := ToUpper(t.Context(), c.local, c.base, noObjects)
	if err != nil {
		t.Fatal(err)
	}
	overlay, bind := write("upper", upper, noObjects, c.base), write("bind", c.local, noObjects, nil)
	write("new", c.new, noObjects, nil)
	want := mustRebase(t, c.base, c.local, c.new, c.opts).Tree
	for from, read := range map[string]func() (*tree.Node, error){
		"overlay": func() (*tree.Node, error) { return readUpper(overlay, c.base, digest.SHA512) },
		"bind":    func() (*tree.Node, error) { return ReadDir(t.Context(), bind, digest.SHA512, nil) },
	} {
		local, err := read()
		if err != nil {
			t.Fatal(err)
		}
		opts := c.opts
		opts.Open = LocalOpener(overlay, noObjects)
		if from == "bind" {
			opts.Open = LocalOpener(bind, noObjects)
		}
		tree := mustRebase(t, c.base, local, c.new, opts).Tree
		merged := write(from+"-bind", tree, opts.Open, nil)
		got, err := ReadDir(t.Context(), merged, digest.SHA512, nil)
		if err != nil {
			t.Fatal(err)
		}
		checkSame(t, from+" to bind", got, want)

		least, err := ToUpper(t.Context(), tree, c.new, opts.Open)
		if err != nil {
			t.Fatal(err)
		}
		write(from+"-upper", least, opts.Open, c.new)
		checkSame(t, from+" to overlay", shown(t, dir, "new", from+"-upper"), want)
	}
}

// shown returns what an overlay of two directories below dir shows.
func shown(t *testing.T, dir, lower, upper string) *tree.Node {
	t.Helper()
	for _, name := range []string{upper + ".work", upper + ".etc"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	etc := filepath.Join(dir, upper+".etc")
	options := "lowerdir=" + filepath.Join(dir, lower) + ",upperdir=" + filepath.Join(dir, upper) + ",workdir=" + filepath.Join(dir, upper+".work")
	if err := syscall.Mount("overlay", etc, "overlay", 0, options); err != nil {
		t.Fatal(err)
	}
	defer syscall.Unmount(etc, syscall.MNT_DETACH)
	f, err := os.Open(etc)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	tree, err := ReadDir(t.Context(), f, digest.SHA512, nil)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}
