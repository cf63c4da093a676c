package status

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// A problem is what status calls a part of the machine that could not be read.
var problem = regexp.MustCompile(`(?:problem\([^"\n]*|readRecord\([^"\n]*|What: |what := )"([^"]+)"`)

// TestPage keeps the messages in docs/operating.md those of the code. A message there has
// an ellipsis for each part that varies, and the parts between are in a Go file; and every
// problem is on the page.
func TestPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/operating.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(page), "| message | cause | what to do |\n|---|---|---|\n")
	table, _, _ := strings.Cut(rest, "\n\n")
	if !found {
		t.Fatal("docs/operating.md has no table of messages")
	}
	code := source(t, ".", "../machine", "../machine/boot", "../format/deployment")
	for _, m := range problem.FindAllStringSubmatch(code, -1) {
		if !strings.Contains(table, "`"+strings.TrimSpace(m[1])) {
			t.Errorf("docs/operating.md does not have the problem %q", m[1])
		}
	}
	for row := range strings.Lines(table) {
		cell, _, _ := strings.Cut(strings.TrimPrefix(row, "| "), " | ")
		for i, message := range strings.Split(cell, "`") {
			if i%2 == 0 { // between two messages
				continue
			}
			for part := range strings.SplitSeq(message, "…") {
				if !strings.Contains(code, strings.Trim(part, " ,;:()")) {
					t.Errorf("docs/operating.md has the message %q, but nothing says %q", message, part)
				}
			}
		}
	}
}

// source returns the text of the Go files in directories, without tests.
func source(t *testing.T, dirs ...string) string {
	t.Helper()
	var all strings.Builder
	for _, dir := range dirs {
		names, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			all.Write(text)
		}
	}
	return all.String()
}
