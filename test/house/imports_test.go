// Package house tests what holds for the project as a whole: who may import
// whom, how large the programs are, and that two builds give the same bytes.
package house

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/sysupdate-image/sysupdate-image"

// wings lists the folders of the tree in the order of their dependencies: a
// package imports those of its own wing, where siblings allows it, and of the
// wings before. docs/architecture.md draws them.
var wings = []wing{
	{"format", true, []string{"internal/format", "inflate"}},
	{"linux", true, []string{"internal/linux"}},
	{"composefs", true, []string{"internal/composefs"}},
	{"image", true, []string{"internal/image"}},
	{"machine", true, []string{"internal/machine", "internal/status"}},
	{"etc", true, []string{"internal/etc"}},
	{"stages", false, []string{"finalize", "generators", "health", "prepare-root", "standalone"}},
	{"update", true, []string{"internal/inspect", "internal/install", "internal/repair", "internal/update"}},
	{"ui", false, []string{"internal/ui"}},
	{"commands", false, []string{"cmd"}},
}

// A wing is some folders and what lies below them.
type wing struct {
	name     string
	siblings bool
	folders  []string
}

// forTests are packages that no program may import.
var forTests = []string{"internal/testing/ns", "internal/testing/oci", "internal/testing/record", "internal/testing/sample", "internal/testing/schema", "internal/testing/terminal", "internal/testing/vm", "test/powercut/record", "internal/linux/durable/durabletest", "internal/format/uki/ukitest", "test"}

// onlyIn says which package alone may import what, and why.
var onlyIn = []struct{ imported, importer, why string }{
	{"golang.org/x/sys/unix", "internal/linux/sys", "it is the one door to the kernel"},
	{"net", "internal/image/oci", "it is the one door to the network"},
	{"net/http", "internal/image/oci", "it is the one door to the network"},
	{"go.podman.io/image", "internal/image/oci", "it is the one door to the container libraries"},
	{"go.podman.io/storage", "internal/image/oci", "it is the one door to the container libraries"},
	{"github.com/coreos/go-systemd", "internal/linux/systemd", "it is the one door to D-Bus"},
}

// withoutNet are the programs of early boot and shutdown.
var withoutNet = []string{"cmd/finalize", "cmd/health", "cmd/init", "cmd/prepare-root", "cmd/sysupdate-image-generator"}

func TestImports(t *testing.T) {
	for pkg, imports := range listImports(t) {
		if within(pkg, forTests) {
			continue
		}
		level := wingOf(pkg)
		if level < 0 {
			t.Errorf("%s is in no wing: add it to the table here and to docs/architecture.md", pkg)
			continue
		}
		for _, imported := range imports {
			if err := mayImport(pkg, level, imported); err != nil {
				t.Error(err)
			}
		}
	}
}

func mayImport(pkg string, level int, imported string) error {
	for _, rule := range onlyIn {
		if within(imported, []string{rule.imported}) && pkg != rule.importer && !within(pkg, forTests) {
			return fmt.Errorf("%s imports %s: only %s may, since %s", pkg, imported, rule.importer, rule.why)
		}
	}
	own, ok := strings.CutPrefix(imported, module+"/")
	if !ok {
		if first, _, _ := strings.Cut(imported, "/"); wings[level].name == "format" && strings.Contains(first, ".") {
			return fmt.Errorf("%s imports %s: formats use the standard library only", pkg, imported)
		}
		return nil
	}
	switch to := wingOf(own); {
	case within(own, forTests):
		return fmt.Errorf("%s imports %s, which is for tests only", pkg, own)
	case to > level:
		return fmt.Errorf("%s (%s) imports %s (%s): never upwards", pkg, wings[level].name, own, wings[to].name)
	case to == level && !wings[level].siblings && path.Dir(own) != pkg:
		return fmt.Errorf("%s imports %s: never sideways between %s; what they share goes into a wing below", pkg, own, wings[level].name)
	}
	return nil
}

func TestEarlyProgramsHaveNoNetwork(t *testing.T) {
	for _, program := range withoutNet {
		for dep := range strings.Lines(goList(t, "-deps", "./"+program)) {
			if dep = strings.TrimSpace(dep); dep == "net" || strings.HasPrefix(dep, "net/") && dep != "net/netip" && dep != "net/url" {
				t.Errorf("%s depends on %s: what runs in early boot or at shutdown has no network", program, dep)
			}
		}
	}
}

func TestRulesRefuse(t *testing.T) {
	tests := []struct{ pkg, imported, want string }{
		{"internal/format/digest", "golang.org/x/text", "standard library only"},
		{"internal/format/digest", module + "/internal/composefs/repo", "never upwards"},
		{"internal/composefs/repo", "golang.org/x/sys/unix", "one door to the kernel"},
		{"internal/update", "go.podman.io/image/v5/docker", "container libraries"},
		{"finalize", module + "/prepare-root", "never sideways"},
		{"internal/update", module + "/internal/testing/vm", "tests only"},
		{"internal/update", module + "/internal/composefs/repo", ""},
	}
	for _, tt := range tests {
		err := mayImport(tt.pkg, wingOf(tt.pkg), tt.imported)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("mayImport(%s, %s) = %v; want an error with %q", tt.pkg, tt.imported, err, tt.want)
		}
	}
}

// listImports returns what each package of the module imports outside tests.
func listImports(t *testing.T) map[string][]string {
	t.Helper()
	imports := make(map[string][]string)
	for line := range strings.Lines(goList(t, "-f", "{{.ImportPath}} {{range .Imports}}{{.}} {{end}}", "./...")) {
		fields := strings.Fields(line)
		pkg := strings.TrimPrefix(fields[0], module+"/")
		imports[pkg] = fields[1:]
	}
	return imports
}

func goList(t *testing.T, args ...string) string {
	t.Helper()
	seeSources(t)
	cmd := exec.Command("go", append([]string{"list", "-tags", buildTags(t)}, args...)...)
	cmd.Dir = repository(t)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list %s: %v", strings.Join(args, " "), err)
	}
	return string(out)
}

// seeSources opens all folders of the repository: go test does not know what go list reads, and
// would repeat the result for other sources.
func seeSources(t *testing.T) {
	t.Helper()
	err := filepath.WalkDir(repository(t), func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Name() == ".git" {
			return fs.SkipDir
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// buildTags returns the tags that the Makefile builds with.
func buildTags(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repository(t), "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "TAGS "); ok {
			return strings.TrimSpace(strings.TrimLeft(value, " :="))
		}
	}
	t.Fatal("Makefile has no TAGS")
	return ""
}

// repository returns the root of the checkout.
func repository(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// wingOf returns the index of the wing that holds pkg, -1 if none does.
func wingOf(pkg string) int {
	return slices.IndexFunc(wings, func(w wing) bool { return within(pkg, w.folders) })
}

// within reports whether pkg is one of roots or below one.
func within(pkg string, roots []string) bool {
	return slices.ContainsFunc(roots, func(root string) bool {
		return pkg == root || strings.HasPrefix(pkg, root+"/")
	})
}
