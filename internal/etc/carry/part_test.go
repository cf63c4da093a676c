package carry

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/erofs"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/etc/merge"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
)

// randomDir fills dir with files of a few names, so that trees meet.
func randomDir(r *rand.Rand, dir *tree.Node, depth int) {
	for _, name := range []string{"a", "b", "c", "group"} {
		if r.IntN(4) > 0 {
			dir.Set(name, randomFile(r, depth))
		}
	}
}

func randomFile(r *rand.Rand, depth int) *tree.Node {
	n := &tree.Node{Mode: tree.TypeRegular | 0o644, Nlink: 1}
	switch kind := r.IntN(8); {
	case kind < 4 && depth > 0:
		n.Mode = tree.TypeDir | 0o755
		randomDir(r, n, depth-1)
	case kind == 4:
		n.Mode, n.Target = tree.TypeSymlink|0o777, fmt.Sprint(r.IntN(3))
	default:
		n.Inline = fmt.Appendf(nil, "g%d:x:%d:\n", r.IntN(3), r.IntN(3))
		n.Size = uint64(len(n.Inline))
	}
	if !n.IsSymlink() && r.IntN(4) == 0 {
		n.Mode ^= 0o100
	}
	return n
}

// edited returns a copy of a tree with a few changes.
func edited(r *rand.Rand, tree *tree.Node) *tree.Node {
	out := tree.Clone()
	for _, e := range out.Entries() {
		if e.Node.IsDir() && r.IntN(2) == 0 {
			out.Set(e.Name, edited(r, e.Node))
		}
	}
	for range r.IntN(3) {
		if name := string("abcd"[r.IntN(4)]); r.IntN(3) == 0 {
			out.Remove(name)
		} else {
			out.Set(name, randomFile(r, 2))
		}
	}
	return out
}

// imageOf returns an image with the given /etc.
func imageOf(t *testing.T, etc *tree.Node) []byte {
	t.Helper()
	root := &tree.Node{Mode: tree.TypeDir | 0o755}
	root.Set("etc", etc)
	root.Set("usr", &tree.Node{Mode: tree.TypeDir | 0o755})
	root.CountLinks()
	var b bytes.Buffer
	if err := erofs.Write(t.Context(), &b, root, erofs.Options{Version: erofs.V1}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// etcOf reads a part of /etc.
func etcOf(t *testing.T, image []byte, part erofs.Part) *tree.Node {
	t.Helper()
	root, err := erofs.ReadPart(bytes.NewReader(image), int64(len(image)), func(name string) erofs.Part {
		if name == "etc" {
			return part
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return root.Lookup("etc")
}

// rebased returns the upper directory that a merge makes, and what it reports.
func rebased(t *testing.T, upper *tree.Node, base, next []byte, part erofs.Part, policy deployment.ConflictPolicy) string {
	t.Helper()
	b, n := etcOf(t, base, part), etcOf(t, next, part)
	local, err := merge.FromUpper(upper, b)
	if err != nil {
		t.Fatal(err)
	}
	result, err := merge.Rebase(t.Context(), b, local, n, merge.Options{Conflicts: policy, Aside: ".conflicts/x"})
	if err != nil {
		t.Fatal(err)
	}
	out, err := merge.ToUpper(t.Context(), result.Tree, n, nil)
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	out.Walk(func(path string, n *tree.Node) {
		fmt.Fprintf(&text, "%s %o %d %q %q %d %q\n", path, n.Mode, n.UID, n.Target, n.Inline, n.Rdev, n.Xattrs())
	})
	for _, c := range result.Changes {
		fmt.Fprintln(&text, c.Kind, c.Path, c.What)
	}
	for _, c := range result.Conflicts {
		fmt.Fprintln(&text, c.Path, c.Reason, c.Paths)
	}
	for _, d := range result.NewDefaults {
		fmt.Fprintln(&text, d.Path)
	}
	fmt.Fprintln(&text, result.Records, result.Warnings)
	return text.String()
}

// Reading what was touched of an image gives the same as reading all of it.
func TestTouchedIsEnough(t *testing.T) {
	first := uint64(time.Now().UnixNano())
	for seed := first; seed < first+500; seed++ {
		r := rand.New(rand.NewPCG(seed, 0))
		base := &tree.Node{Mode: tree.TypeDir | 0o755}
		randomDir(r, base, 3)
		local, next := edited(r, base), edited(r, base)
		upper, err := merge.ToUpper(t.Context(), local, base, nil)
		if err != nil {
			t.Fatal(err)
		}
		policy := []deployment.ConflictPolicy{deployment.ConflictsKeep, deployment.ConflictsNew}[seed%2]
		a, b := imageOf(t, base), imageOf(t, next)
		got, want := rebased(t, upper, a, b, touched(upper), policy), rebased(t, upper, a, b, erofs.All, policy)
		if got != want {
			t.Fatalf("seed %d: with the touched part:\n%swith all:\n%s", seed, got, want)
		}
	}
	t.Logf("seeds from %d", first)
}
