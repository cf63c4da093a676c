package merge

import (
	"fmt"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
)

// An aside is what has lost its place to the other side.
type aside struct {
	path string
	node *tree.Node
}

// conflict notes a conflict at path and returns the side that wins: what is
// local, or n of the new image, which may be nil.
func (m *merger) conflict(path string, reason Reason, local, n *tree.Node) *tree.Node {
	c := Conflict{Path: path, Reason: reason, Local: local, New: n}
	walk(path, local, func(path string, n *tree.Node) {
		if !n.IsDir() || len(n.Entries()) == 0 {
			c.Paths = append(c.Paths, path)
		}
	})
	m.result.Conflicts = append(m.result.Conflicts, c)
	winner, loser := local, n
	if m.opts.Conflicts == deployment.ConflictsNew {
		winner, loser = n, local
	}
	if loser != nil {
		m.aside = append(m.aside, aside{path, loser})
	}
	return winner
}

// walk visits n and what is below it by their paths.
func walk(path string, n *tree.Node, visit func(string, *tree.Node)) {
	visit(path, n)
	for _, e := range n.Entries() {
		walk(join(path, e.Name), e.Node, visit)
	}
}

// putAside enters into the merged tree what has lost its place.
func (m *merger) putAside() {
	if m.opts.Aside == "" || len(m.aside) == 0 {
		return
	}
	m.result.Tree = m.result.Tree.Clone()
	m.result.Aside = free(m.result.Tree, strings.Trim(m.opts.Aside, "/"))
	for _, a := range m.aside {
		enter(m.result.Tree, m.result.Aside+a.path, a.node)
	}
}

// free returns a path below root where nothing is yet, nor anything in the way:
// path itself, or one with a number behind the name that is taken.
func free(root *tree.Node, path string) string {
	names := strings.Split(path, "/")
	dir := root
	for i, name := range names {
		for n := 2; !isFree(dir, names[i], i == len(names)-1); n++ {
			names[i] = fmt.Sprintf("%s.%d", name, n)
		}
		if dir = child(dir, names[i]); dir == nil {
			break
		}
	}
	return strings.Join(names, "/")
}

// isFree reports whether name in dir can be made, or entered if it is not the last
// one.
func isFree(dir *tree.Node, name string, last bool) bool {
	n := dir.Entry(name)
	return n == nil || n.IsDir() && !last
}

// enter puts n at path below root. Directories on the way are copied, since
// other trees have them too, and made if they are missing: only for root,
// because what was set aside may have been in a directory that only root may
// enter.
func enter(root *tree.Node, path string, n *tree.Node) {
	names := strings.Split(path, "/")
	dir := root
	for _, name := range names[:len(names)-1] {
		next := dir.Entry(name)
		if next != nil {
			next = next.Clone()
		} else {
			next = &tree.Node{Mode: tree.TypeDir | 0o700, UID: root.UID, GID: root.GID, Mtime: root.Mtime}
			next.SetLabel(root.Label())
		}
		dir.Set(name, next)
		dir = next
	}
	dir.Set(names[len(names)-1], n)
}
