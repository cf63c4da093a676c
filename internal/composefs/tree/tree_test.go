package tree

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestDirectory does to a directory, small and large, what a map tells of.
func TestDirectory(t *testing.T) {
	for _, names := range []int{3, 100, largeDir + 100, 5 * largeDir} {
		seed := uint64(names)
		r := rand.New(rand.NewPCG(seed, seed))
		dir, want := &Node{Mode: TypeDir}, make(map[string]*Node)
		for step := range 10 * names {
			name := fmt.Sprint(r.IntN(names))
			switch r.IntN(4) {
			case 0:
				_, there := want[name]
				if got := dir.Remove(name); got != there {
					t.Fatalf("%d names, step %d: Remove(%s) = %v; want %v", names, step, name, got, there)
				}
				delete(want, name)
			default:
				want[name] = &Node{Size: uint64(step)}
				dir.Set(name, want[name])
			}
			if got := dir.Entry(name); got != want[name] {
				t.Fatalf("%d names, step %d: Entry(%s) = %v; want %v", names, step, name, got, want[name])
			}
			if step%names == 0 {
				compareDir(t, dir.Clone(), want)
			}
		}
		compareDir(t, dir, want)
		dir.Remove("0")
		dir.Clear()
		compareDir(t, dir, nil)
	}
}

func compareDir(t *testing.T, dir *Node, want map[string]*Node) {
	t.Helper()
	var got []string
	for _, e := range dir.Entries() {
		got = append(got, e.Name)
		if e.Node != want[e.Name] || dir.Entry(e.Name) != e.Node {
			t.Errorf("%s is %v and %v; want %v", e.Name, e.Node, dir.Entry(e.Name), want[e.Name])
		}
	}
	if !slices.Equal(got, slices.Sorted(maps.Keys(want))) {
		t.Errorf("there are %d names %.100q; want %d, in order", len(got), got, len(want))
	}
}

// TestOutOfOrder has names come in falling order and go, which must not take longer
// for each the more there are: it takes 20 times as long as when they come in order,
// and would take a thousand times as long with all moved each time.
func TestOutOfOrder(t *testing.T) {
	const names = 400_000
	start := time.Now()
	dir, file := &Node{Mode: TypeDir}, new(Node)
	for i := range names {
		dir.Set(fmt.Sprintf("%06d", i), file)
	}
	inOrder := time.Since(start)
	start = time.Now()
	dir.Clear()
	for i := names; i > 0; i-- {
		dir.Set(fmt.Sprintf("%06d", i), file)
	}
	if k := len(dir.Entries()); k != names || !slices.IsSortedFunc(dir.Entries(), func(a, b Entry) int { return strings.Compare(a.Name, b.Name) }) {
		t.Errorf("there are %d names; want %d, in order", k, names)
	}
	for i := range names {
		dir.Remove(fmt.Sprintf("%06d", i+1))
	}
	if k := len(dir.Entries()); k != 0 {
		t.Errorf("there are %d names; want none", k)
	}
	if d := time.Since(start); d > 200*inOrder {
		t.Errorf("%d names out of order took %v, in order %v", names, d, inOrder)
	}
}

// BenchmarkOutOfOrder enters names in falling order.
func BenchmarkOutOfOrder(b *testing.B) {
	names := make([]string, 200_000)
	for i := range names {
		names[i] = fmt.Sprintf("%06d", len(names)-i)
	}
	for b.Loop() {
		dir := &Node{Mode: TypeDir}
		for _, name := range names {
			dir.Set(name, dir)
		}
		dir.Entries()
	}
}
