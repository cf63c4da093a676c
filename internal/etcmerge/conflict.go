package etcmerge

import (
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs"
)

// An aside is something local that has lost its place.
type aside struct {
	path string
	node *composefs.Node
}

// conflict notes a conflict at path and returns the side that wins: what is
// local, or n of the new image.
func (m *merger) conflict(path string, reason Reason, local, n *composefs.Node) *composefs.Node {
	c := Conflict{Path: path, Reason: reason, Local: local, New: n}
	walk(path, local, func(path string, n *composefs.Node) {
		if !n.IsDir() || len(n.Entries()) == 0 {
			c.Paths = append(c.Paths, path)
		}
	})
	m.result.Conflicts = append(m.result.Conflicts, c)
	if m.opts.Conflicts != New {
		return local
	}
	m.aside = append(m.aside, aside{path, local})
	return n
}

// walk visits n and what is below it by their paths.
func walk(path string, n *composefs.Node, visit func(string, *composefs.Node)) {
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
	for _, a := range m.aside {
		enter(m.result.Tree, strings.Trim(m.opts.Aside, "/")+a.path, a.node)
	}
}

// enter puts n at path below root. Directories on the way are copied, since
// other trees have them too, and made if they are missing: only for root,
// because what was set aside may have been in a directory that only root may
// enter.
func enter(root *composefs.Node, path string, n *composefs.Node) {
	names := strings.Split(path, "/")
	dir := root
	for _, name := range names[:len(names)-1] {
		next := dir.Entry(name)
		if next != nil && next.IsDir() {
			next = next.Clone()
		} else {
			next = &composefs.Node{Mode: composefs.TypeDir | 0o700, UID: root.UID, GID: root.GID, Mtime: root.Mtime}
			setLabel(next, label(root))
		}
		dir.Set(name, next)
		dir = next
	}
	dir.Set(names[len(names)-1], n)
}
