package inspect

import (
	"cmp"
	"path"
	"slices"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/image/packages"
)

// Sizes are how large the parts of two images are, in bytes.
type Sizes struct {
	Old         int64         `json:"old"` // contents of all files, each once
	New         int64         `json:"new"`
	Packages    []SizedChange `json:"packages"`    // as their managers have it; the largest first
	Directories []SizedChange `json:"directories"` // as their files have it, up to three levels deep
}

// A SizedChange is a part of an image with its size in both.
type SizedChange struct {
	Name string `json:"name"`
	Old  int64  `json:"old"`
	New  int64  `json:"new"`
}

// compareSizes returns the sizes of two images.
func compareSizes(old, now *tree.Node, oldLists, newLists []packages.List) Sizes {
	return Sizes{
		Old: int64(describeTree(old).Bytes), New: int64(describeTree(now).Bytes),
		Packages:    sized(packageSizes(oldLists), packageSizes(newLists)),
		Directories: sized(directorySizes(old), directorySizes(now)),
	}
}

func packageSizes(lists []packages.List) map[string]int64 {
	sizes := make(map[string]int64)
	for _, l := range lists {
		for _, p := range l.Packages {
			sizes[p.Name] += p.Size
		}
	}
	return sizes
}

// directoryDepth is how deep directories are told apart.
const directoryDepth = 3

// directorySizes returns the sizes of directories, of which deeper ones are a part. A file
// with several names counts for the first.
func directorySizes(root *tree.Node) map[string]int64 {
	sizes := make(map[string]int64)
	seen := make(map[*tree.Node]bool)
	root.Walk(func(name string, n *tree.Node) {
		if !n.IsRegular() || seen[n] {
			return
		}
		seen[n] = true
		elements := strings.Split(strings.TrimPrefix(path.Dir(name), "/"), "/")
		sizes["/"+path.Join(elements[:min(len(elements), directoryDepth)]...)] += int64(n.Size)
	})
	return sizes
}

// sized returns what either has, the largest first.
func sized(old, now map[string]int64) []SizedChange {
	all := []SizedChange{}
	for _, name := range keysOf(old, now) {
		if old[name] > 0 || now[name] > 0 {
			all = append(all, SizedChange{name, old[name], now[name]})
		}
	}
	slices.SortStableFunc(all, func(a, b SizedChange) int { return cmp.Compare(max(b.Old, b.New), max(a.Old, a.New)) })
	return all
}
