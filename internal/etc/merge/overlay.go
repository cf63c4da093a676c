package merge

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/diff"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
)

// Attributes by which overlayfs keeps notes in an upper directory, see
// Documentation/filesystems/overlayfs.rst of the kernel.
const (
	overlayPrefix = "trusted.overlay."
	escapedPrefix = "trusted.overlay.overlay." // an attribute that is trusted.overlay.* through the mount
	opaqueAttr    = "trusted.overlay.opaque"   // y: nothing of the lower directory is seen
	whiteoutAttr  = "trusted.overlay.whiteout" // of an empty file in a directory with opaque=x
	redirectAttr  = "trusted.overlay.redirect" // where the lower directory or file is
	metacopyAttr  = "trusted.overlay.metacopy" // the content is that of the lower file
	// protectAttr holds what chattr(1) +i and +a set through the mount. It is
	// the one note that a local tree keeps, under this name, even if it comes
	// from a directory where the files themselves are protected.
	protectAttr = "trusted.overlay.protattr"
)

// protection returns the value of protectAttr for a protection.
func protection(p sys.Protection) string {
	value := ""
	if p.Append {
		value += "a"
	}
	if p.Immutable {
		value += "i"
	}
	return value
}

// WriteUpper makes name below root an upper directory through which one sees
// merged if the lower directory is next. See WriteDir for how it does so.
func WriteUpper(ctx context.Context, root *os.Root, name string, merged, next *tree.Node, open Opener) error {
	upper, err := ToUpper(ctx, merged, next, open)
	if err != nil {
		return err
	}
	return writeDir(root, name, upper, dirWriter{compare: compare{ctx, open}, lower: next})
}

// FromUpper returns the tree that an overlay of the tree upper, as ReadDir finds
// it on disk, and lower shows. What is not in upper is shared with lower, so that
// it costs nothing. An error names what overlayfs would refuse.
//
// The overlay must be mounted with index=off: otherwise an edit of one of
// several names of a default shows under all of them, and the upper directory
// alone does not tell.
func FromUpper(upper, lower *tree.Node) (*tree.Node, error) {
	o := overlay{root: lower, seen: map[*tree.Node]*tree.Node{}}
	return o.directory("/", upper, lower)
}

// An overlay is one run of FromUpper.
type overlay struct {
	root *tree.Node                // of the lower tree
	seen map[*tree.Node]*tree.Node // files with several names
}

// directory merges a directory with the lower one that belongs to it, if any.
func (o *overlay) directory(path string, upper, lower *tree.Node) (*tree.Node, error) {
	out := withoutNotes(upper)
	out.Clear()
	opaque, _ := upper.Xattr(opaqueAttr)
	if lower != nil && (opaque != "y" || isSkipped(upper)) {
		for _, e := range lower.Entries() {
			out.Set(e.Name, e.Node)
		}
	}
	for _, e := range upper.Entries() {
		if isWhiteout(e.Node, opaque == "x") {
			out.Remove(e.Name)
			continue
		}
		n, err := o.entry(join(path, e.Name), e, lower, opaque == "y")
		if err != nil {
			return nil, err
		}
		out.Set(e.Name, n)
	}
	return out, nil
}

// entry returns what is seen of the entry e, in a directory over lower.
func (o *overlay) entry(path string, e tree.Entry, lower *tree.Node, opaque bool) (*tree.Node, error) {
	below := o.redirected(e, lower, opaque)
	if e.Node.IsDir() {
		if below != nil && !below.IsDir() {
			below = nil
		}
		return o.directory(path, e.Node, below)
	}
	if n, ok := o.seen[e.Node]; ok {
		return n, nil
	}
	n := withoutNotes(e.Node)
	if _, ok := e.Node.Xattr(metacopyAttr); ok && n.IsRegular() {
		if below == nil || !below.IsRegular() {
			return nil, fmt.Errorf("%s: its content should be in the image, and is not", path)
		}
		n.Size, n.Inline, n.Digest = below.Size, below.Inline, below.Digest
		n.SetPayload(below.Payload())
	}
	o.seen[e.Node] = n
	return n, nil
}

// redirected returns the lower node that belongs to an entry: the one of the
// same name, or the one it had before it was renamed.
func (o *overlay) redirected(e tree.Entry, lower *tree.Node, opaque bool) *tree.Node {
	to, ok := e.Node.Xattr(redirectAttr)
	switch {
	case ok && strings.HasPrefix(to, "/"):
		return o.root.Lookup(to)
	case opaque:
		return nil
	case ok:
		return child(lower, to)
	}
	return child(lower, e.Name)
}

// IsRenamed reports whether a file of an upper directory belongs to a lower one of
// another name.
func IsRenamed(n *tree.Node) bool {
	_, ok := n.Xattr(redirectAttr)
	return ok
}

// IsOpaque reports whether nothing of the lower directory is seen through a
// directory of an upper one.
func IsOpaque(n *tree.Node) bool {
	opaque, _ := n.Xattr(opaqueAttr)
	return opaque == "y"
}

// isWhiteout reports whether an entry of an upper directory hides what is below.
// marked says that empty files with an attribute do so in this directory.
func isWhiteout(n *tree.Node, marked bool) bool {
	if n.IsWhiteout() {
		return true
	}
	_, ok := n.Xattr(whiteoutAttr)
	return ok && marked && n.IsRegular() && diff.Size(n) == 0
}

// withoutNotes returns a copy of n as the mount shows it.
func withoutNotes(n *tree.Node) *tree.Node {
	return renameXattrs(n, func(name string) string {
		switch {
		case name == protectAttr || !strings.HasPrefix(name, overlayPrefix):
			return name
		case strings.HasPrefix(name, escapedPrefix):
			return overlayPrefix + strings.TrimPrefix(name, escapedPrefix)
		}
		return ""
	})
}

// escaped returns a copy of n for an upper directory.
func escaped(n *tree.Node) *tree.Node {
	return renameXattrs(n, func(name string) string {
		if name == protectAttr || !strings.HasPrefix(name, overlayPrefix) {
			return name
		}
		return escapedPrefix + strings.TrimPrefix(name, overlayPrefix)
	})
}

// renameXattrs returns a copy of n whose attributes have other names, and not
// those that name to "".
func renameXattrs(n *tree.Node, rename func(string) string) *tree.Node {
	out := n.Clone()
	out.KeepXattrs(func(name string) bool { return rename(name) == name })
	for _, x := range n.Xattrs() {
		if name := rename(x.Name); name != "" && name != x.Name {
			out.SetXattr(name, x.Value)
		}
	}
	return out
}
