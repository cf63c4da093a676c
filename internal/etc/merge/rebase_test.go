package merge

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
)

var update = flag.Bool("update", false, "write what Rebase does to the files in testdata")

// A rebaseCase is a file of testdata/rebase. The first line of its comment may
// be a policy in parentheses.
type rebaseCase struct {
	name             string
	archive          *txtar.Archive
	base, local, new *tree.Node
	opts             Options
}

func rebaseCases(t *testing.T) []rebaseCase {
	t.Helper()
	files, err := filepath.Glob("testdata/rebase/*.txtar")
	if err != nil || len(files) < 40 {
		t.Fatalf("found %d cases, %v; want at least 40", len(files), err)
	}
	var cases []rebaseCase
	for _, f := range files {
		archive, err := txtar.ParseFile(f)
		if err != nil {
			t.Fatal(err)
		}
		c := rebaseCase{name: strings.TrimSuffix(filepath.Base(f), ".txtar"), archive: archive}
		c.opts = Options{Open: noObjects, Aside: ".conflicts/id"}
		for _, policy := range []deployment.ConflictPolicy{deployment.ConflictsFail, deployment.ConflictsKeep, deployment.ConflictsNew} {
			if strings.Contains(string(archive.Comment), "("+string(policy)+")") {
				c.opts.Conflicts = policy
			}
		}
		c.base, c.local, c.new = parseTree(t, c.section("base")), parseTree(t, c.section("local")), parseTree(t, c.section("new"))
		cases = append(cases, c)
	}
	return cases
}

// section returns a part of the file; local or new as "same" are base.
func (c rebaseCase) section(name string) string {
	for _, f := range c.archive.Files {
		if f.Name == name {
			if name != "base" && strings.TrimSpace(string(f.Data)) == "same" {
				return c.section("base")
			}
			return string(f.Data)
		}
	}
	return ""
}

func (c rebaseCase) set(name, text string) {
	for i := range c.archive.Files {
		if c.archive.Files[i].Name == name {
			c.archive.Files[i].Data = []byte(text)
			return
		}
	}
	c.archive.Files = append(c.archive.Files, txtar.File{Name: name, Data: []byte(text)})
}

func TestRebase(t *testing.T) {
	for _, c := range rebaseCases(t) {
		t.Run(c.name, func(t *testing.T) {
			before := formatTree(t, c.base) + formatTree(t, c.local) + formatTree(t, c.new)
			result, err := Rebase(t.Context(), c.base, c.local, c.new, c.opts)
			if err != nil {
				t.Fatalf("Rebase = %v", err)
			}
			got, report := formatTree(t, result.Tree), formatReport(result)
			if *update {
				c.set("want", got)
				c.set("report", report)
				if err := os.WriteFile("testdata/rebase/"+c.name+".txtar", txtar.Format(c.archive), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if want := c.section("want"); got != want {
				t.Errorf("merged tree:\n%swant:\n%s", got, want)
			}
			if want := c.section("report"); report != want {
				t.Errorf("report:\n%swant:\n%s", report, want)
			}
			if after := formatTree(t, c.base) + formatTree(t, c.local) + formatTree(t, c.new); after != before {
				t.Errorf("Rebase changed what it was given:\n%swas:\n%s", after, before)
			}
		})
	}
}

func formatReport(r *Result) string {
	var b bytes.Buffer
	for _, c := range r.Changes {
		fmt.Fprintln(&b, strings.TrimSpace(fmt.Sprintf("%s %s %s", c.Kind, c.Path, c.What)))
	}
	for _, c := range r.Conflicts {
		fmt.Fprintf(&b, "conflict %s: %s: %s\n", c.Path, c.Reason, strings.Join(c.Paths, " "))
	}
	for _, d := range r.NewDefaults {
		fmt.Fprintf(&b, "new default %s\n", d.Path)
	}
	for _, m := range r.Records {
		fmt.Fprintf(&b, "records %s: local %q new %q both %q merged %q\n", m.Path, m.Local, m.New, m.Both, m.Merged)
	}
	for _, w := range r.Warnings {
		fmt.Fprintf(&b, "warning: %s\n", w)
	}
	return b.String()
}

// checkSame fails the test if the trees differ in more than times.
func checkSame(t *testing.T, what string, got, want *tree.Node) {
	t.Helper()
	same, err := compare{t.Context(), noObjects}.sameTree(got, want)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	if !same {
		t.Errorf("%s:\n%swant:\n%s", what, formatTree(t, got), formatTree(t, want))
	}
}

func mustRebase(t *testing.T, base, local, next *tree.Node, opts Options) *Result {
	t.Helper()
	result, err := Rebase(t.Context(), base, local, next, opts)
	if err != nil {
		t.Fatalf("Rebase = %v", err)
	}
	return result
}

// What must be true whatever the trees are is tried with those of all cases.
func TestRebaseProperties(t *testing.T) {
	for _, c := range rebaseCases(t) {
		t.Run(c.name, func(t *testing.T) {
			opts := Options{Open: noObjects}
			for _, tree := range []*tree.Node{c.base, c.local, c.new} {
				tree.Remove(".updated")
			}
			if got := mustRebase(t, c.base, c.base, c.new, opts).Tree; got != c.new {
				t.Error("without a local change, the merged tree is not the new one itself")
			}
			checkSame(t, "no local change, trees read twice", mustRebase(t, c.base, clone(c.base), c.new, opts).Tree, c.new)
			same := mustRebase(t, c.base, c.local, clone(c.base), opts)
			checkSame(t, "same image", same.Tree, c.local)
			if n := len(same.Conflicts) + len(same.NewDefaults); n > 0 {
				t.Errorf("same image: %d conflicts and new defaults; want none", n)
			}
			checkSame(t, "same change on both sides", mustRebase(t, c.base, c.local, clone(c.local), opts).Tree, c.local)

			want := mustRebase(t, c.base, c.local, c.new, c.opts)
			again := mustRebase(t, c.new, want.Tree, clone(c.new), c.opts)
			checkSame(t, "merged once more", again.Tree, want.Tree)

			shared := clone(c.local)
			share(t, c.base, shared)
			got := mustRebase(t, c.base, shared, c.new, c.opts)
			checkSame(t, "sharing nodes with base", got.Tree, want.Tree)
			if g, w := formatReport(got), formatReport(want); g != w {
				t.Errorf("report when sharing nodes with base:\n%swant:\n%s", g, w)
			}
		})
	}
}

// The upper directory that is made for a tree must show that tree.
func TestUpperIsInverse(t *testing.T) {
	for _, c := range rebaseCases(t) {
		t.Run(c.name, func(t *testing.T) {
			merged := mustRebase(t, c.base, c.local, c.new, c.opts).Tree
			for _, pair := range []struct {
				what        string
				seen, lower *tree.Node
			}{
				{"local over base", c.local, c.base},
				{"merged over new", merged, c.new},
				{"new over base", c.new, c.base},
				{"base over local", c.base, c.local},
			} {
				upper, err := ToUpper(t.Context(), pair.seen, pair.lower, noObjects)
				if err != nil {
					t.Fatalf("%s: ToUpper = %v", pair.what, err)
				}
				got, err := FromUpper(upper, pair.lower)
				if err != nil {
					t.Fatalf("%s: FromUpper = %v", pair.what, err)
				}
				checkSame(t, pair.what, got, pair.seen)
			}
		})
	}
}

// Nothing needs to be in an upper directory that shows its lower one.
func TestUpperIsMinimal(t *testing.T) {
	for _, c := range rebaseCases(t) {
		upper, err := ToUpper(t.Context(), clone(c.new), c.new, noObjects)
		if err != nil {
			t.Fatalf("%s: ToUpper = %v", c.name, err)
		}
		if len(upper.Entries()) != 0 {
			t.Errorf("%s: upper directory of an unchanged tree:\n%s", c.name, formatTree(t, upper))
		}
	}
}
