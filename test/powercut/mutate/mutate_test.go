package mutate

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const repository = "../../.."

// TestMutantsCompile finds that every mutant is another program, and one.
func TestMutantsCompile(t *testing.T) {
	if testing.Short() {
		t.Skip("compiling takes a while")
	}
	mutants, err := Find(repository)
	if err != nil {
		t.Fatal(err)
	}
	if len(mutants) < 30 {
		t.Errorf("found %d mutants; the programs sync more often", len(mutants))
	}
	tags, err := BuildTags(repository)
	if err != nil {
		t.Fatal(err)
	}
	c := newChecker(t, tags)
	for _, m := range mutants {
		original, err := os.ReadFile(filepath.Join(repository, m.File))
		if err != nil {
			t.Fatal(err)
		}
		if string(original) == string(m.text) {
			t.Errorf("%s changes nothing", m.Name)
		}
		if err := c.check(m); err != nil {
			t.Errorf("%s (%s:%d) does not compile: %v", m.Name, m.File, m.Line, err)
		}
	}
	if err := c.check(Mutant{File: mutants[0].File, text: []byte("package durable\n\nvar x int = y\n")}); err == nil {
		t.Error("what does not compile was taken to do so")
	}
}

// A checker checks the types of packages, which takes much less time than to compile them.
type checker struct {
	files map[string][]string // of a package, by its folder
	set   *token.FileSet
	deps  types.Importer
}

// newChecker has the packages compiled that the mutants import, unless the programs have been
// built with the same flags.
func newChecker(t *testing.T, tags string) *checker {
	t.Helper()
	cmd := exec.Command("go", "list", "-C", repository, "-trimpath", "-tags", tags, "-export", "-deps", "-json=ImportPath,Export,Dir,GoFiles", "./...")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	root, err := filepath.Abs(repository)
	if err != nil {
		t.Fatal(err)
	}
	c := &checker{files: make(map[string][]string), set: token.NewFileSet()}
	exports := make(map[string]string)
	for d := json.NewDecoder(bytes.NewReader(out)); d.More(); {
		var pkg struct {
			ImportPath, Export, Dir string
			GoFiles                 []string
		}
		if err := d.Decode(&pkg); err != nil {
			t.Fatal(err)
		}
		exports[pkg.ImportPath] = pkg.Export
		if dir, err := filepath.Rel(root, pkg.Dir); err == nil {
			c.files[dir] = pkg.GoFiles
		}
	}
	c.deps = importer.ForCompiler(c.set, "gc", func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) })
	return c
}

// check returns what a compiler would say of a mutant.
func (c *checker) check(m Mutant) error {
	dir := filepath.Dir(m.File)
	var files []*ast.File
	for _, name := range c.files[dir] {
		var text any // the file's own
		if name == filepath.Base(m.File) {
			text = m.text
		}
		file, err := parser.ParseFile(c.set, filepath.Join(repository, dir, name), text, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		files = append(files, file)
	}
	_, err := (&types.Config{Importer: c.deps}).Check(dir, c.set, files, nil)
	return err
}

func TestOmission(t *testing.T) {
	const source = `package p

func f() error {
	if err := a.b.Sync(); err != nil {
		return syncDir(fsys, "x(")
	}
	return nil
}
`
	mutants, err := omissions("p/p.go", []byte(source))
	if err != nil || len(mutants) != 2 {
		t.Fatalf("omissions = %v, %v; want two", mutants, err)
	}
	for i, want := range []string{
		"\tif err := func(...any) error { return nil }(a.b.Sync); err != nil {\n",
		"\t\treturn func(...any) error { return nil }(syncDir, fsys, \"x(\")\n",
	} {
		if got := string(mutants[i].text); !strings.Contains(got, want) {
			t.Errorf("mutant %d is\n%s; want in it\n%s", i, got, want)
		}
	}
	if got, want := mutants[1].Name, `p.f: syncDir(fsys, "x(")`; got != want {
		t.Errorf("name is %q; want %q", got, want)
	}
}
