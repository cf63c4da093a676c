package house

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
)

// wholeReads are the calls that read a file to its end, however long it is, or
// wait for what is none.
var wholeReads = []string{"ReadFile", "ReadAll", "ReadFrom"}

// mayReadWhole are the files that do so all the same, and why.
var mayReadWhole = map[string]string{
	"internal/format/bounded/bounded.go": "it is the one that has a limit for everybody else",
	"internal/image/oci/status.go":       "the transport has a limit on every answer",
}

// TestReadsAreBounded: what is on a disk or in an image may be a FIFO, or have no
// end, so all is read by package bounded.
func TestReadsAreBounded(t *testing.T) {
	used := make(map[string]bool)
	for _, dir := range []string{"cmd", "finalize", "generators", "health", "internal", "prepare-root", "standalone"} {
		for name, calls := range callsOf(t, dir, wholeReads) {
			if within(path.Dir(name), forTests) {
				continue
			}
			if _, ok := mayReadWhole[name]; ok {
				used[name] = true
				continue
			}
			for _, call := range calls {
				t.Errorf("%s: use package bounded, or add the file to mayReadWhole with a reason", call)
			}
		}
	}
	for name := range mayReadWhole {
		if !used[name] {
			t.Errorf("mayReadWhole has %s, which reads nothing as a whole", name)
		}
	}
}

// TestLimitsAreUsed: a limit that nothing checks would be a line in the manual page that is
// not true.
func TestLimitsAreUsed(t *testing.T) {
	used := make(map[string]bool)
	eachFile(t, func(_ func(token.Pos) string, file *ast.File) {
		ast.Inspect(file, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok {
				if x, ok := s.X.(*ast.Ident); ok && x.Name == "limits" {
					used[s.Sel.Name] = true
				}
			}
			return true
		})
	})
	table, err := parser.ParseFile(token.NewFileSet(), filepath.Join(repository(t), "internal/format/limits/table.go"), nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	declared := 0
	ast.Inspect(table, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok {
			declared++
			if name := spec.Names[0].Name; !used[name] {
				t.Errorf("limits.%s is used nowhere", name)
			}
		}
		return true
	})
	if declared == 0 {
		t.Error("the table has no limits")
	}
}

// callsOf returns, by file, where functions of these names are used below dir,
// but for those of package bounded, and not in tests.
func callsOf(t *testing.T, dir string, names []string) map[string][]string {
	t.Helper()
	return inspect(t, dir, func(n ast.Node) bool { return isUse(n, names) })
}

// inspect returns, by file, where something is found below dir, not in tests, and not in what
// is bounded.
func inspect(t *testing.T, dir string, found func(ast.Node) bool) map[string][]string {
	t.Helper()
	places := make(map[string][]string)
	root := os.DirFS(repository(t))
	err := fs.WalkDir(root, dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return err
		}
		text, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		positions := token.NewFileSet()
		file, err := parser.ParseFile(positions, name, text, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if isLimited(n) {
				return false
			}
			if found(n) {
				places[name] = append(places[name], positions.Position(n.Pos()).String())
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return places
}

// isLimited reports whether n is F(limits.NAME.Reader(...)).
func isLimited(n ast.Node) bool {
	call, ok := n.(*ast.CallExpr)
	if !ok || len(call.Args) != 1 {
		return false
	}
	reader, ok := call.Args[0].(*ast.CallExpr)
	if !ok {
		return false
	}
	method, ok := reader.Fun.(*ast.SelectorExpr)
	if !ok || method.Sel.Name != "Reader" {
		return false
	}
	limit, ok := method.X.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	pkg, ok := limit.X.(*ast.Ident)
	return ok && pkg.Name == "limits"
}

// isUse reports whether n is X.NAME with one of the names, for any X but package
// bounded.
func isUse(n ast.Node, names []string) bool {
	s, ok := n.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	if x, ok := s.X.(*ast.Ident); ok && x.Name == "bounded" {
		return false
	}
	for _, name := range names {
		if s.Sel.Name == name {
			return true
		}
	}
	return false
}

// opens are the calls that open a directory by its path.
var opens = []string{"Chdir", "DirFS", "Open", "OpenFile", "OpenRoot", "ReadDir"}

// TestRootIsOpenedInMain: which directory is the root of the running system is decided in
// main, and handed down. A test, or --root, may mean another one.
func TestRootIsOpenedInMain(t *testing.T) {
	inMain := 0
	for _, dir := range []string{"cmd", "finalize", "generators", "health", "internal", "prepare-root", "standalone"} {
		for name, calls := range inspect(t, dir, opensRoot) {
			switch {
			case within(path.Dir(name), forTests):
			case strings.HasPrefix(name, "cmd/"):
				inMain++
			default:
				t.Errorf("%s: the root directory is opened in cmd alone: take an *os.Root or an fs.FS", calls[0])
			}
		}
	}
	if inMain == 0 {
		t.Error("no program opens the root directory: this test has nothing to tell it by")
	}
}

// opensRoot reports whether n opens "/".
func opensRoot(n ast.Node) bool {
	call, ok := n.(*ast.CallExpr)
	if !ok || !isUse(call.Fun, opens) || len(call.Args) == 0 {
		return false
	}
	text, ok := call.Args[0].(*ast.BasicLit)
	return ok && text.Value == `"/"`
}
