package house

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestArchitectureIsComplete keeps docs/architecture.md short, and every wing's packages
// on it.
func TestArchitectureIsComplete(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(repository(t), "docs/architecture.md"))
	if err != nil {
		t.Fatal(err)
	}
	if lines := strings.Count(string(page), "\n"); lines > 150 {
		t.Errorf("docs/architecture.md has %d lines; want at most 150", lines)
	}
	for pkg := range listImports(t) {
		if wingOf(pkg) < 0 || within(pkg, forTests) {
			continue
		}
		word := regexp.MustCompile(`\b` + regexp.QuoteMeta(path.Base(pkg)) + `\b`)
		if !word.Match(page) {
			t.Errorf("docs/architecture.md does not have %s", pkg)
		}
	}
}

// A link in a page, as [text](target).
var link = regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`)

// TestLinksLead wants the target of each relative link in a document to exist.
func TestLinksLead(t *testing.T) {
	for _, page := range pagesAt(t, "*.md", "docs/*.md", "docs/*/*.md") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), m[1])); err != nil {
				t.Errorf("%s: link to %s: %v", page, m[1], err)
			}
		}
	}
}

// Names of the project's files in a page: a path in backquotes, and a Go file without a
// folder.
var (
	namedPath = regexp.MustCompile("`([\\w./-]+)`")
	namedFile = regexp.MustCompile(`(^|[^\w/.-])(\w+\.go)\b`)
)

// folders are those of the repository with files that pages name by their whole path.
var folders = []string{"cmd", "docs", "finalize", "generators", "hack", "health", "internal", "prepare-root", "standalone", "test"}

// TestNamedFilesExist wants the files of the project that a page for developers names: a
// path from the root of the repository, or a Go file after the name of its package.
func TestNamedFilesExist(t *testing.T) {
	names := listNames(t)
	for _, page := range pagesAt(t, "CONTRIBUTING.md", "docs/*.md", "docs/internals/*.md") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for n, line := range strings.Split(string(text), "\n") {
			for _, missing := range names.missing(line) {
				t.Errorf("%s:%d: %s does not exist", page, n+1, missing)
			}
		}
	}
}

// names are those of the files and folders of the repository.
type names struct {
	files, folders map[string]bool // by their paths
	bases          map[string]bool // file names without folders
}

// listNames lists the repository, without what is not part of it.
func listNames(t *testing.T) names {
	t.Helper()
	root := os.DirFS(repository(t))
	n := names{make(map[string]bool), make(map[string]bool), make(map[string]bool)}
	for _, top := range folders {
		err := fs.WalkDir(root, top, func(name string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.IsDir():
				n.folders[name] = true
			default:
				n.files[name], n.bases[path.Base(name)] = true, true
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return n
}

// missing returns what a line of a page names and the repository does not have. A Go file
// is in the package that the line names last before it; if it names none, any package
// may have it.
func (n names) missing(line string) (missing []string) {
	for _, m := range namedPath.FindAllStringSubmatch(line, -1) {
		name := path.Clean(m[1])
		top, _, below := strings.Cut(name, "/")
		if below && slices.Contains(folders, top) && !n.files[name] && !n.folders[name] {
			missing = append(missing, name)
		}
	}
	for _, m := range namedFile.FindAllStringSubmatchIndex(line, -1) {
		name := line[m[4]:m[5]]
		pkg := n.lastPackage(line[:m[4]])
		if pkg == "" && !n.bases[name] || pkg != "" && !n.files[pkg+"/"+name] {
			missing = append(missing, path.Join(pkg, name))
		}
	}
	return missing
}

// lastPackage returns the folder of the last package that a text names, as in
// `image/system` or `internal/image/system`; "" if it names none.
func (n names) lastPackage(text string) string {
	for _, m := range slices.Backward(namedPath.FindAllStringSubmatch(text, -1)) {
		for _, dir := range []string{m[1], "internal/" + m[1]} {
			if n.folders[dir] {
				return dir
			}
		}
	}
	return ""
}

func TestNamesRefuse(t *testing.T) {
	n := names{
		files:   map[string]bool{"internal/update/decide.go": true, "finalize/finalize.go": true},
		folders: map[string]bool{"internal/update": true, "finalize": true},
		bases:   map[string]bool{"decide.go": true, "finalize.go": true},
	}
	for line, want := range map[string]string{
		"| skip | `update` decide.go (`decide`) |": "",
		"`update` compose.go, `finalize`":          "internal/update/compose.go",
		"`finalize` finalize.go, decide.go":        "finalize/decide.go",
		"`internal/update/decide.go`, decide.go":   "",
		"`internal/update/gone.go`; gone.go":       "internal/update/gone.go gone.go",
		"`internal/gone`, `other/gone`":            "internal/gone",
	} {
		if got := strings.Join(n.missing(line), " "); got != want {
			t.Errorf("missing in %q: %q; want %q", line, got, want)
		}
	}
}

// pagesAt returns the pages that match patterns below the repository.
func pagesAt(t *testing.T, patterns ...string) (pages []string) {
	t.Helper()
	for _, pattern := range patterns {
		more, err := filepath.Glob(filepath.Join(repository(t), pattern))
		if err != nil || len(more) == 0 {
			t.Fatalf("no pages at %s, %v", pattern, err)
		}
		pages = append(pages, more...)
	}
	return pages
}
