package lint

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the table of rules in docs/lint.md")

// TestPage keeps the table of rules in docs/lint.md the same as that here.
func TestPage(t *testing.T) {
	const name, head = "../../../docs/lint.md", "| rule | level | of | wants |\n|---|---|---|---|\n"
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(data), head)
	_, after, ended := strings.Cut(rest, "\n\n")
	if !found || !ended {
		t.Fatalf("%s has no table of rules", name)
	}
	var table strings.Builder
	for _, r := range Rules {
		of := "us"
		if r.Bootc {
			of = "bootc"
		}
		fmt.Fprintf(&table, "| `%s` | %s | %s | %s |\n", r.Name, r.Level, of, r.Description)
	}
	want := before + head + table.String() + "\n" + after
	if want == string(data) {
		return
	}
	if !*update {
		t.Fatalf("the table in %s is not that of Rules; run this test with -update", name)
	}
	if err := os.WriteFile(name, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}
