package merge

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
)

// randomTree fills dir with random files, a few names only so that trees meet.
func randomTree(r *rand.Rand, dir *tree.Node, depth int) {
	for _, name := range []string{"a", "b", "c", "d", "passwd"} {
		if r.IntN(3) > 0 {
			dir.Set(name, randomNode(r, depth))
		}
	}
}

func randomNode(r *rand.Rand, depth int) *tree.Node {
	n := &tree.Node{Mode: tree.TypeRegular | 0o644, Nlink: 1}
	switch kind := r.IntN(12); {
	case kind < 4 && depth > 0:
		n.Mode = tree.TypeDir | 0o755
		randomTree(r, n, depth-1)
	case kind == 4:
		n.Mode, n.Target = tree.TypeSymlink|0o777, fmt.Sprint(r.IntN(3))
	case kind == 5:
		n.Mode = tree.TypeFIFO | 0o644
	case kind == 6:
		n.Mode, n.Rdev = tree.TypeChar|0o644, 1+r.Uint32N(3)
	default:
		n.Inline = []byte(fmt.Sprintf("u%d:x:%d\n", r.IntN(3), r.IntN(3)))
		n.Size = uint64(len(n.Inline))
	}
	if r.IntN(4) == 0 && !n.IsSymlink() { // nobody can change theirs
		n.Mode ^= 0o100
	}
	if r.IntN(6) == 0 {
		n.SetXattr("user.x", fmt.Sprint(r.IntN(2)))
	}
	return n
}

// edit returns a copy of a tree with a few random changes.
func edit(r *rand.Rand, root *tree.Node) *tree.Node {
	out := clone(root)
	var dirs []*tree.Node
	out.Walk(func(_ string, n *tree.Node) {
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
	first := uint64(time.Now().UnixNano())
	for seed := first; seed < first+400; seed++ {
		r := rand.New(rand.NewPCG(seed, 4))
		base := &tree.Node{Mode: tree.TypeDir | 0o755}
		randomTree(r, base, 3)
		local, next := edit(r, base), edit(r, base)
		if seed%2 == 0 {
			share(t, base, local)
		}
		opts := Options{Open: noObjects, Aside: ".conflicts/x", Conflicts: []deployment.ConflictPolicy{deployment.ConflictsFail, deployment.ConflictsKeep, deployment.ConflictsNew}[seed%3]}
		before := formatTree(t, base) + formatTree(t, local) + formatTree(t, next)
		merged := mustRebase(t, base, local, next, opts)
		if formatTree(t, base)+formatTree(t, local)+formatTree(t, next) != before {
			t.Fatalf("seed %d: Rebase changed what it was given", seed)
		}
		checkSame(t, "no local change", mustRebase(t, base, clone(base), next, opts).Tree, next)
		checkSame(t, "same image", mustRebase(t, base, local, clone(base), opts).Tree, local)
		checkSame(t, "once more", mustRebase(t, next, merged.Tree, clone(next), opts).Tree, merged.Tree)
		checkKept(t, base, local, merged)
		upper, err := ToUpper(t.Context(), merged.Tree, next, noObjects)
		if err != nil {
			t.Fatalf("seed %d: ToUpper = %v", seed, err)
		}
		seen, err := FromUpper(upper, next)
		if err != nil {
			t.Fatalf("seed %d: FromUpper = %v", seed, err)
		}
		checkSame(t, "through the upper directory", seen, merged.Tree)
		if t.Failed() {
			t.Fatalf("seed %d:\n%s", seed, before)
		}
	}
}

// An upgrade in two steps comes to the same as in one, where the machine has
// changed nothing that the first step changes.
func TestOrderOfUpgrades(t *testing.T) {
	first, tried := uint64(time.Now().UnixNano()), 0
	for seed := first; tried < 300; seed++ {
		r := rand.New(rand.NewPCG(seed, 5))
		a := &tree.Node{Mode: tree.TypeDir | 0o755}
		randomTree(r, a, 3)
		local, b := edit(r, a), edit(r, a)
		c := edit(r, b)
		if touch(t, a, local, b) {
			continue
		}
		opts := Options{Open: noObjects, Conflicts: []deployment.ConflictPolicy{deployment.ConflictsKeep, deployment.ConflictsNew}[seed%2]}
		direct := mustRebase(t, a, local, c, opts)
		if len(direct.Conflicts) > 0 {
			continue // who wins depends on what is there
		}
		tried++
		between := mustRebase(t, a, local, b, opts)
		checkSame(t, "A to B to C", mustRebase(t, b, between.Tree, c, opts).Tree, direct.Tree)
		if t.Failed() {
			t.Fatalf("seed %d: A\n%slocal:\n%sB:\n%sC:\n%s", seed, formatTree(t, a), formatTree(t, local), formatTree(t, b), formatTree(t, c))
		}
	}
	t.Logf("seeds from %d", first)
}

// touch reports whether two trees have changed the same of a third, or one
// something that is in what the other has changed.
func touch(t *testing.T, base, x, y *tree.Node) bool {
	t.Helper()
	changes := func(tree *tree.Node) []Change {
		list, err := Diff(t.Context(), base, tree, noObjects)
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	within := func(p, dir string) bool { return strings.HasPrefix(p+"/", strings.TrimSuffix(dir, "/")+"/") }
	for _, c := range changes(x) {
		for _, d := range changes(y) {
			if within(c.Path, d.Path) || within(d.Path, c.Path) {
				return true
			}
		}
	}
	return false
}

// checkKept fails the test if a file that was added or changed here is neither
// in the merged tree nor set aside.
func checkKept(t *testing.T, base, local *tree.Node, merged *Result) {
	t.Helper()
	for _, c := range merged.Changes {
		if _, records := recordFiles[c.Path]; c.Kind == Removed || c.Kind == Metadata || c.New.IsDir() || records {
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

func formatNode(t *testing.T, n *tree.Node) string {
	t.Helper()
	dir := &tree.Node{Mode: tree.TypeDir | 0o755}
	dir.Set("x", n)
	return formatTree(t, dir)
}

// Merging one file of records keeps to the rules whatever is in it.
func FuzzMergeRecords(f *testing.F) {
	f.Add("root:x:0:0\n", "root:x:0:0\nme:x:1:1\n", "root:y:0:0\n+::\n", false)
	f.Add("", "a", "a\n", false)
	f.Add("#c\n\n:\n", "a:1\nb:2\na:3", "b:\n\n\n", false)
	f.Add("video:x:44:a,b\n", "video:x:44:b,me\n", "video:x:45:a,b,svc\n", true)
	f.Add("", "video:x:44:me,me,,\n", "video:x:45:svc", true)
	f.Fuzz(func(t *testing.T, base, local, next string, withMembers bool) {
		b, l, n := parseRecords([]byte(base)), parseRecords([]byte(local)), parseRecords([]byte(next))
		var lists []int
		if withMembers {
			lists = []int{3}
		}
		merged, report := mergeRecords(b, l, n, lists)
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
		for _, key := range report.Merged {
			checkMembers(t, b.lines[key], l.lines[key], n.lines[key], merged.lines[key])
		}
		if len(merged.keys) != len(merged.lines) {
			t.Errorf("%d records in order, %d in all: %q", len(merged.keys), len(merged.lines), merged.keys)
		}
		if same, _ := mergeRecords(b, l, b, lists); string(same.encode()) != string(l.encode()) {
			t.Errorf("same image: %q; want %q", same.encode(), l.encode())
		}
		// In the order of local; a file that nobody changed is not merged at all.
		if same, _ := mergeRecords(b, b, n, lists); !maps.EqualFunc(same.lines, n.lines, slices.Equal) {
			t.Errorf("no local change: %q; want the lines of %q", same.encode(), n.encode())
		}
		if again := parseRecords(merged.encode()); string(again.encode()) != string(merged.encode()) {
			t.Errorf("encoding is not stable: %q and %q", merged.encode(), again.encode())
		}
	})
}

// checkMembers fails the test if a name of the last field was not merged: it is
// to be there if either side has added it, or if both have it from the first.
func checkMembers(t *testing.T, base, local, next, merged []string) {
	t.Helper()
	has := func(lines []string, name string) bool {
		if len(lines) == 0 {
			return false
		}
		f := strings.Split(strings.TrimSuffix(lines[0], "\n"), ":")
		return slices.Contains(strings.Split(f[3], ","), name)
	}
	for _, lines := range [][]string{base, local, next} {
		if len(lines) == 0 {
			continue
		}
		for name := range strings.SplitSeq(strings.Split(strings.TrimSuffix(lines[0], "\n"), ":")[3], ",") {
			b, l, n := has(base, name), has(local, name), has(next, name)
			if want := l && n || !b && (l || n); name != "" && has(merged, name) != want {
				t.Errorf("member %q of %q is %v; base, local, new: %q, %q, %q", name, merged, !want, base, local, next)
			}
		}
	}
}
