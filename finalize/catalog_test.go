package finalize

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const catalogFile = "sysupdate-image.catalog"

// messageIDs returns the constants of that type, by their names: ours, and those of the
// program beside us, which are in the same catalog.
func messageIDs(t *testing.T) map[string]string {
	t.Helper()
	ids := map[string]string{}
	for _, name := range []string{"messages.go", "../health/messages.go", "../internal/update/messages.go"} {
		addMessageIDs(t, name, ids)
	}
	return ids
}

func addMessageIDs(t *testing.T, name string, ids map[string]string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if kind, ok := spec.Type.(*ast.Ident); ok && kind.Name == "messageID" {
			id, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			ids[spec.Names[0].Name] = id
		}
		return false
	})
}

// Every id is explained, and nothing else is.
func TestCatalog(t *testing.T) {
	ids := messageIDs(t)
	if len(ids) < 9 {
		t.Fatalf("found the ids %v only", ids)
	}
	text, err := os.ReadFile(catalogFile)
	if err != nil {
		t.Fatal(err)
	}
	var explained []string
	for _, m := range regexp.MustCompile(`(?m)^-- ([0-9a-f]{32})$`).FindAllStringSubmatch(string(text), -1) {
		explained = append(explained, m[1])
	}
	slices.Sort(explained)
	if known := slices.Sorted(maps.Values(ids)); !slices.Equal(known, explained) {
		t.Errorf("the catalog explains %v; want %v", explained, known)
	}
	page, err := os.ReadFile("../docs/operating.md")
	if err != nil {
		t.Fatal(err)
	}
	for name, id := range ids {
		if !strings.Contains(string(page), "`"+id+"`") {
			t.Errorf("docs/operating.md does not have %s, %s", name, id)
		}
	}
	for _, field := range regexp.MustCompile(`@([A-Z_]+)@`).FindAllStringSubmatch(string(text), -1) {
		if !slices.Contains([]string{fieldDeployment, fieldError, fieldPath}, field[1]) {
			t.Errorf("the catalog has a field %s, which no message has", field[1])
		}
	}
}

// systemd takes the catalog, and gives it out again.
func TestCatalogOfSystemd(t *testing.T) {
	if _, err := exec.LookPath("journalctl"); err != nil {
		t.Skip("there is no journalctl")
	}
	text, err := os.ReadFile(catalogFile)
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	for _, dir := range []string{"usr/lib/systemd/catalog", "var/lib/systemd/catalog"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(root, "usr/lib/systemd/catalog", catalogFile), text, 0o644); err != nil {
		t.Fatal(err)
	}
	journalctl := func(args ...string) string {
		t.Helper()
		out, err := exec.Command("journalctl", append([]string{"--root=" + root}, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("journalctl %q: %v\n%s", args, err, out)
		}
		return string(out)
	}
	if out := journalctl("--update-catalog"); out != "" {
		t.Errorf("journalctl --update-catalog says:\n%s", out)
	}
	list := journalctl("--list-catalog")
	for name, id := range messageIDs(t) {
		if !strings.Contains(list, id+" sysupdate-image: ") {
			t.Errorf("%s, %s, is not in the catalog of systemd:\n%s", name, id, list)
		}
	}
}
