package erofs

import (
	"fmt"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
)

// The marks that stand for whiteouts, by the names that a reader gives them:
// those that were escaped are not any more.
const (
	markWhiteout  = overlayPrefix + "whiteout"
	markWhiteouts = overlayPrefix + "whiteouts"
	markOpaque    = overlayPrefix + "opaque"
)

var markNames = []string{
	markWhiteout, userWhiteout, markWhiteouts, userWhiteouts, markOpaque, userOpaque,
}

// isEscapedWhiteout reports whether n looks like a whiteout that was escaped.
func (rd *reader) isEscapedWhiteout(n *tree.Node) bool {
	return rd.version != V2 && n.IsRegular() && n.Size == 0 &&
		rd.hasMark(n, markWhiteout, "") && rd.hasMark(n, userWhiteout, "")
}

// hasWhiteoutMarks reports whether dir is marked as a directory with whiteouts.
func (rd *reader) hasWhiteoutMarks(dir *tree.Node) bool {
	return rd.hasMark(dir, markWhiteouts, "") && rd.hasMark(dir, userWhiteouts, "") &&
		(rd.version < V1 || rd.hasMark(dir, markOpaque, "x") && rd.hasMark(dir, userOpaque, "x"))
}

func (rd *reader) hasMark(n *tree.Node, name, value string) bool {
	if v, ok := n.Xattr(name); ok && v == value {
		return true
	}
	v, ok := rd.twice[attrOf{n, name}]
	return ok && v == value
}

// restoreWhiteouts makes whiteouts of what was escaped, and removes the marks.
func (rd *reader) restoreWhiteouts() {
	marked := make(map[*tree.Node]bool)
	for _, k := range rd.whiteouts {
		dir := rd.dirs[k.dir].node
		if !rd.hasWhiteoutMarks(dir) {
			continue // just a file with these attributes
		}
		marked[dir] = true
		k.node.Mode = tree.TypeChar | k.node.Mode&^tree.TypeMask
		rd.unmark(k.node, markWhiteout, "")
		rd.unmark(k.node, userWhiteout, "")
	}
	for dir := range marked {
		rd.unmark(dir, markWhiteouts, "")
		rd.unmark(dir, userWhiteouts, "")
		if rd.version >= V1 {
			rd.unmark(dir, markOpaque, "x")
			rd.unmark(dir, userOpaque, "x")
		}
	}
}

// unmark removes a mark that n has; an attribute of the same name stays.
func (rd *reader) unmark(n *tree.Node, name, value string) {
	at := attrOf{n, name}
	other, twice := rd.twice[at]
	delete(rd.twice, at)
	switch first, _ := n.Xattr(name); {
	case twice && first == value:
		n.SetXattr(name, other)
	case twice:
		// The second one was the mark.
	default:
		n.KeepXattrs(func(own string) bool { return own != name })
	}
}

// removeStubs removes the whiteouts that hide the object store. No others are
// in an image as what they are.
func (rd *reader) removeStubs(root *tree.Node) error {
	for i := range 256 {
		name := fmt.Sprintf("%02x", i)
		if n := root.Entry(name); n != nil && n.IsWhiteout() {
			root.Remove(name)
		}
	}
	return rd.refuseWhiteouts(root)
}

// refuseWhiteouts returns an error if there is a whiteout below dir: a file
// that a mounted image does not have.
func (rd *reader) refuseWhiteouts(dir *tree.Node) error {
	for _, e := range dir.Entries() {
		switch {
		case e.Node.IsWhiteout():
			return fmt.Errorf("%q is a whiteout that is not escaped", e.Name)
		case e.Node.IsDir():
			if err := rd.refuseWhiteouts(e.Node); err != nil {
				return err
			}
		}
	}
	return nil
}
