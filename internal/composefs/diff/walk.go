package diff

import (
	"errors"
	"io/fs"
	"iter"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
)

// A Pair is what two directories have under one name, nil for nothing.
type Pair struct {
	Name     string
	Old, New *tree.Node
}

// Pairs returns what is in two directories, by name and in order. Either may be nil or
// something else than a directory.
func Pairs(old, now *tree.Node) []Pair {
	a, b := entriesOf(old), entriesOf(now)
	pairs := make([]Pair, 0, max(len(a), len(b)))
	for o, n := range join(a, b, func(e tree.Entry) string { return e.Name }) {
		pairs = append(pairs, Pair{Name: max(o.Name, n.Name), Old: o.Node, New: n.Node})
	}
	return pairs
}

func entriesOf(n *tree.Node) []tree.Entry {
	if n == nil {
		return nil
	}
	return n.Entries()
}

// Each calls visit for each path where two trees have different nodes, nil for nothing:
// directories before what is in them, which it leaves out where visit returns fs.SkipDir.
// Paths are absolute: "/" for the trees themselves.
func Each(old, now *tree.Node, visit func(path string, old, now *tree.Node) error) error {
	return each("/", old, now, visit)
}

func each(path string, old, now *tree.Node, visit func(string, *tree.Node, *tree.Node) error) error {
	if old == now {
		return nil
	}
	if err := visit(path, old, now); errors.Is(err, fs.SkipDir) {
		return nil
	} else if err != nil {
		return err
	}
	dir := strings.TrimSuffix(path, "/") + "/"
	for _, p := range Pairs(old, now) {
		if err := each(dir+p.Name, p.Old, p.New, visit); err != nil {
			return err
		}
	}
	return nil
}

// join yields the elements of two lists that are sorted by name, those of the same name
// together. The zero value stands for one that is missing.
func join[T any](a, b []T, name func(T) string) iter.Seq2[T, T] {
	return func(yield func(T, T) bool) {
		for len(a) > 0 || len(b) > 0 {
			var x, y T
			inA := len(b) == 0 || len(a) > 0 && name(a[0]) <= name(b[0])
			inB := len(a) == 0 || len(b) > 0 && name(b[0]) <= name(a[0])
			if inA {
				x, a = a[0], a[1:]
			}
			if inB {
				y, b = b[0], b[1:]
			}
			if !yield(x, y) {
				return
			}
		}
	}
}
