package erofs

import (
	"errors"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
)

// collectBreadthFirst lists the inodes as V0 and V1 have them. original is the
// root as the caller knows it.
func (img *image) collectBreadthFirst(original *tree.Node) error {
	type later struct {
		child int // in img.children
		link  *link
	}
	var unresolved []later
	img.add(img.root, 0)
	for i := 0; i < len(img.inodes); i++ {
		dir := img.inodes[i].node
		if !dir.IsDir() {
			continue
		}
		img.inodes[i].children = int32(len(img.children))
		asEntered := dir
		if i == 0 {
			asEntered = original
		}
		whiteouts := false
		for _, e := range dir.Entries() {
			child := int32(-1)
			if l := img.links[e.Node]; l == nil {
				child = img.add(e.Node, int32(i))
			} else if l.dir == asEntered && l.name == e.Name {
				child = img.add(e.Node, int32(i))
				l.inode = child
			} else {
				unresolved = append(unresolved, later{len(img.children), l})
			}
			if child >= 0 && img.escapesWhiteout(e.Node) {
				whiteouts = true
			}
			img.children = append(img.children, child)
		}
		if err := img.setAttrs(i, whiteouts); err != nil {
			return err
		}
	}
	for _, u := range unresolved {
		img.children[u.child] = u.link.inode
	}
	return img.setLeafAttrs()
}

// collectDepthFirst lists the inodes as V2 has them: a directory, then what is
// in it.
func (img *image) collectDepthFirst(dir *tree.Node, parent int32) error {
	me := img.add(dir, parent)
	if err := img.setAttrs(int(me), false); err != nil {
		return err
	}
	start := len(img.children)
	img.inodes[me].children = int32(start)
	img.children = append(img.children, make([]int32, len(dir.Entries()))...)
	for k, e := range dir.Entries() {
		if e.Node.IsDir() {
			img.children[start+k] = int32(len(img.inodes))
			if err := img.collectDepthFirst(e.Node, me); err != nil {
				return err
			}
			continue
		}
		l := img.links[e.Node]
		if l != nil && l.inode >= 0 {
			img.children[start+k] = l.inode
			continue
		}
		child := img.add(e.Node, me)
		if l != nil {
			l.inode = child
		}
		img.children[start+k] = child
		if err := img.setAttrs(int(child), false); err != nil {
			return err
		}
	}
	return nil
}

// add lists one inode and returns its index.
func (img *image) add(n *tree.Node, parent int32) int32 {
	i := inode{node: n, mode: uint16(n.Mode), nlink: n.Nlink, parent: parent}
	switch {
	case n.IsDir():
		i.nlink = 2
		for _, e := range n.Entries() {
			if e.Node.IsDir() {
				i.nlink++
			}
		}
	case img.dialect == ComposefsRS:
		i.nlink = 1
		if l := img.links[n]; l != nil {
			i.nlink = l.names
		}
	}
	if img.escapesWhiteout(n) {
		i.mode = uint16(tree.TypeRegular | n.Mode&^tree.TypeMask)
	}
	img.inodes = append(img.inodes, i)
	return int32(len(img.inodes) - 1)
}

// escapesWhiteout reports whether n is a whiteout of the tree, which has to be
// written as something that overlayfs turns into a whiteout again.
func (img *image) escapesWhiteout(n *tree.Node) bool {
	return n.IsWhiteout() && img.version != V2 && !img.stubs[n]
}

// setLeafAttrs gives attributes to all inodes but directories.
func (img *image) setLeafAttrs() error {
	for i := range img.inodes {
		if img.inodes[i].node.IsDir() {
			continue
		}
		if err := img.setAttrs(i, false); err != nil {
			return err
		}
	}
	return nil
}

var errAttrs = errors.New("has more extended attributes than an inode can have")
