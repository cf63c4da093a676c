package etcmerge

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs"
)

// randomTree fills dir with random files, a few names only so that trees meet.
func randomTree(r *rand.Rand, dir *composefs.Node, depth int) {
	for _, name := range []string{"a", "b", "c", "d", "passwd"} {
		if r.IntN(3) > 0 {
			dir.Set(name, randomNode(r, depth))
		}
	}
}

func randomNode(r *rand.Rand, depth int) *composefs.Node {
	n := &composefs.Node{Mode: composefs.TypeRegular | 0o644, Nlink: 1}
	switch kind := r.IntN(12); {
	case kind < 4 && depth > 0:
		n.Mode = composefs.TypeDir | 0o755
		randomTree(r, n, depth-1)
	case kind == 4:
		n.Mode, n.Target = composefs.TypeSymlink|0o777, fmt.Sprint(r.IntN(3))
	case kind == 5:
		n.Mode = composefs.TypeFIFO | 0o644
	case kind == 6:
		n.Mode, n.Rdev = composefs.TypeChar|0o644, 1+r.Uint32N(3)
	default:
		n.Inline = []byte(fmt.Sprintf("u%d:x:%d\n", r.IntN(3), r.IntN(3)))
		n.Size = uint64(len(n.Inline))
	}
	if r.IntN(4) == 0 {
		n.Mode ^= 0o100
	}
	if r.IntN(6) == 0 {
		n.SetXattr("user.x", fmt.Sprint(r.IntN(2)))
	}
	return n
}

// edit returns a copy of a tree with a few random changes.
func edit(r *rand.Rand, tree *composefs.Node) *composefs.Node {
	out := clone(tree)
	var dirs []*composefs.Node
	out.Walk(func(_ string, n *composefs.Node) {
		if n.IsDir() {
			dirs = append(dirs, n)
		}
	})
	for range r.IntN(6) {
		dir := dirs[r.IntN(len(dirs))]
		name := string("abcdef"[r.IntN(6)])
		if r.IntN(3) == 0 {
			dir.Remove(name)
		} else {
			dir.Set(name, randomNode(r, 2))
		}
	}
	return out
}

// What must hold for all trees, on many of them.
func TestRandomTrees(t *testing.T) {
	for seed := range uint64(400) {
		r := rand.New(rand.NewPCG(seed, 4))
		base := &composefs.Node{Mode: composefs.TypeDir | 0o755}
		randomTree(r, base, 3)
		local, new := edit(r, base), edit(r, base)
		if seed%2 == 0 {
			share(t, base, local)
		}
		opts := Options{Open: noObjects, Aside: ".conflicts/x", Conflicts: []Policy{Fail, Keep, New}[seed%3]}
		before := formatTree(t, base) + formatTree(t, local) + formatTree(t, new)
		merged := mustRebase(t, base, local, new, opts)
		if formatTree(t, base)+formatTree(t, local)+formatTree(t, new) != before {
			t.Fatalf("seed %d: Rebase changed what it was given", seed)
		}
		checkSame(t, "no local change", mustRebase(t, base, clone(base), new, opts).Tree, new)
		checkSame(t, "same image", mustRebase(t, base, local, clone(base), opts).Tree, local)
		checkSame(t, "once more", mustRebase(t, new, merged.Tree, clone(new), opts).Tree, merged.Tree)
		checkKept(t, base, local, merged)
		upper, err := ToUpper(merged.Tree, new, noObjects)
		if err != nil {
			t.Fatalf("seed %d: ToUpper = %v", seed, err)
		}
		seen, err := FromUpper(upper, new)
		if err != nil {
			t.Fatalf("seed %d: FromUpper = %v", seed, err)
		}
		checkSame(t, "through the upper directory", seen, merged.Tree)
		if t.Failed() {
			t.Fatalf("seed %d:\n%s", seed, before)
		}
	}
}

// checkKept fails the test if a file that was added or changed here is neither
// in the merged tree nor set aside.
func checkKept(t *testing.T, base, local *composefs.Node, merged *Result) {
	t.Helper()
	for _, c := range merged.Changes {
		if c.Kind == Removed || c.New.IsDir() || recordFiles[c.Path] {
			continue
		}
		got := merged.Tree.Lookup(c.Path)
		if got == nil || got.IsDir() || formatNode(t, got) != formatNode(t, c.New) {
			got = merged.Tree.Lookup(".conflicts/x" + c.Path)
		}
		if got == nil || formatNode(t, got) != formatNode(t, c.New) {
			t.Errorf("%s %s: lost", c.Kind, c.Path)
		}
	}
}

func formatNode(t *testing.T, n *composefs.Node) string {
	t.Helper()
	dir := &composefs.Node{Mode: composefs.TypeDir | 0o755}
	dir.Set("x", n)
	return formatTree(t, dir)
}

// Merging one file of records keeps to the rules whatever is in it.
func FuzzMergeRecords(f *testing.F) {
	f.Add("root:x:0:0\n", "root:x:0:0\nme:x:1:1\n", "root:y:0:0\n+::\n")
	f.Add("", "a", "a\n")
	f.Add("#c\n\n:\n", "a:1\nb:2\na:3", "b:\n\n\n")
	f.Fuzz(func(t *testing.T, base, local, new string) {
		b, l, n := parseRecords([]byte(base)), parseRecords([]byte(local)), parseRecords([]byte(new))
		merged, report := mergeRecords(b, l, n)
		for _, key := range append(report.Local, report.Both...) {
			if strings.Join(merged.lines[key], "") != strings.Join(l.lines[key], "") {
				t.Errorf("record %q = %q; want the local one %q", key, merged.lines[key], l.lines[key])
			}
		}
		for _, key := range report.New {
			if strings.Join(merged.lines[key], "") != strings.Join(n.lines[key], "") {
				t.Errorf("record %q = %q; want the new one %q", key, merged.lines[key], n.lines[key])
			}
		}
		if len(merged.keys) != len(merged.lines) {
			t.Errorf("%d records in order, %d in all: %q", len(merged.keys), len(merged.lines), merged.keys)
		}
		if same, _ := mergeRecords(b, l, b); string(same.encode()) != string(l.encode()) {
			t.Errorf("same image: %q; want %q", same.encode(), l.encode())
		}
		if again := parseRecords(merged.encode()); string(again.encode()) != string(merged.encode()) {
			t.Errorf("encoding is not stable: %q and %q", merged.encode(), again.encode())
		}
	})
}
