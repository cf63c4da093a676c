package layer

import (
	"fmt"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
)

// Limits on the extended attributes of a tree, in bytes. Real trees have labels
// of which each is that of many files, or a signature for each file.
const (
	maxAttrs     = 16 << 20 // besides what each file may have
	attrsPerFile = 1 << 10
	attrsOfLayer = 4 << 10 // besides that: from here on, other layers are counted
	attrItself   = 32      // what an attribute takes in the list of each file
)

// An attrCounter adds up the memory that the extended attributes of a tree take. A name
// with its value counts once, however many files have it. Archives compress a thousandfold.
type attrCounter struct {
	whole       bool // other layers are counted too
	seen        map[tree.Xattr]bool
	size, files int
}

// add counts a file that is to be entered into one of the trees.
func (a *attrCounter) add(n *tree.Node, trees ...*tree.Node) error {
	a.count(n)
	if !a.whole && a.exceeds(attrsOfLayer) {
		*a = attrCounter{whole: true}
		for _, root := range trees {
			a.countTree(root)
		}
		a.count(n)
	}
	if a.whole && a.exceeds(maxAttrs) {
		return fmt.Errorf("the image has %d bytes of extended attributes in %d files", a.size, a.files)
	}
	return nil
}

func (a *attrCounter) exceeds(size int) bool { return a.size > size+attrsPerFile*a.files }

func (a *attrCounter) countTree(n *tree.Node) {
	a.count(n)
	for _, e := range n.Entries() {
		a.countTree(e.Node)
	}
}

func (a *attrCounter) count(n *tree.Node) {
	a.files++
	for _, x := range n.Xattrs() {
		a.size += attrItself
		if a.seen[x] {
			continue
		}
		if a.seen == nil {
			a.seen = make(map[tree.Xattr]bool)
		}
		a.seen[x] = true
		a.size += len(x.Name) + len(x.Value)
	}
}
