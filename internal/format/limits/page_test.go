package limits

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the table in docs/security.md")

// TestPage keeps the table of limits in docs/security.md the same as that here.
func TestPage(t *testing.T) {
	const name, head = "../../../docs/security.md", "| limit | value | what it bounds |\n|---|---|---|\n"
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(data), head)
	_, after, ended := strings.Cut(rest, "\n\n")
	if !found || !ended {
		t.Fatalf("%s has no table of limits", name)
	}
	var table strings.Builder
	for _, l := range All() {
		word := "at most"
		if l.Least {
			word = "at least"
		}
		fmt.Fprintf(&table, "| %s | %s %s | %s |\n", l.Name, word, l, l.Bounds)
	}
	want := before + head + table.String() + "\n" + after
	if string(data) == want {
		return
	}
	if *update {
		if err := os.WriteFile(name, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Errorf("the table of limits in %s is not that of this package: go test ./internal/format/limits -update", name)
}
