package house

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
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
	root := repository(t)
	pages, err := filepath.Glob(filepath.Join(root, "*.md"))
	for _, pattern := range []string{"docs/*.md", "docs/*/*.md"} {
		more, globErr := filepath.Glob(filepath.Join(root, pattern))
		if pages = append(pages, more...); globErr != nil {
			t.Fatal(globErr)
		}
	}
	if err != nil || len(pages) == 0 {
		t.Fatalf("no pages, %v", err)
	}
	for _, page := range pages {
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
