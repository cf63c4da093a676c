package tree

import (
	"fmt"
	"strings"
)

// XattrSELinux is the name of the attribute that holds an SELinux label.
const XattrSELinux = "security.selinux"

// Label returns the SELinux label of n, "" if it has none.
func (n *Node) Label() string {
	label, _ := n.Xattr(XattrSELinux)
	return label
}

// SetLabel gives n an SELinux label, or takes it away if it is "".
func (n *Node) SetLabel(label string) {
	if label != "" {
		n.SetXattr(XattrSELinux, label)
		return
	}
	n.KeepXattrs(func(name string) bool { return name != XattrSELinux })
}

// A Labeler knows which SELinux label a file has by the policy of its image.
type Labeler interface {
	// Label returns the label of the file at the absolute path with the given
	// st_mode, and whether the policy gives it one. Substitutions that the
	// policy asks for are made inside.
	Label(path string, mode uint32) (label string, ok bool)
}

// TransformForOCI brings a tree made of OCI layers into the form that has the
// same digest on every machine: the root directory takes its metadata from
// /usr, /run is emptied, and extended attributes that depend on the machine
// that built the image are dropped. Only security.capability stays, and user.*
// if keepUserXattrs says so. It also counts links anew.
//
// The error tells that the tree has no directory /usr; it is then unchanged.
func TransformForOCI(root *Node, keepUserXattrs bool) error {
	usr, err := directory(root, "usr")
	if err != nil {
		return err
	}
	root.CopyMetadata(usr)
	if run := root.Entry("run"); run != nil && run.IsDir() {
		// Builders leave mount points there, such as those of RUN --mount.
		run.Clear()
		run.Mtime = usr.Mtime
	}
	root.Walk(func(_ string, n *Node) {
		n.KeepXattrs(func(name string) bool {
			return name == "security.capability" || keepUserXattrs && strings.HasPrefix(name, "user.")
		})
	})
	root.CountLinks()
	return nil
}

// TransformForBoot turns a tree that TransformForOCI has been applied to into
// the one that boots: /boot and /sysroot are emptied, since the boot partition
// and the physical root are mounted there, and every file gets the SELinux
// label that labeler has for it, or none. A nil labeler removes all labels.
// A file with several names that must have different labels becomes several
// files.
//
// The error tells that a directory is missing; the tree is then unchanged.
func TransformForBoot(root *Node, labeler Labeler) error {
	usr, err := directory(root, "usr")
	if err != nil {
		return err
	}
	var empty []*Node
	for _, name := range []string{"boot", "sysroot"} {
		dir, err := directory(root, name)
		if err != nil {
			return err
		}
		empty = append(empty, dir)
	}
	for _, dir := range empty {
		dir.Clear()
		dir.Mtime = usr.Mtime
	}
	if labeler == nil {
		labeler = noLabels{}
	}
	l := labelling{labeler: labeler, done: map[*Node]fileLabel{}, lists: map[string]*[]Xattr{}}
	l.label("/", root)
	root.CountLinks()
	return nil
}

// directory returns the directory called name in root.
func directory(root *Node, name string) (*Node, error) {
	n := root.Entry(name)
	switch {
	case n == nil:
		return nil, fmt.Errorf("image has no directory /%s", name)
	case !n.IsDir():
		return nil, fmt.Errorf("/%s in image is not a directory", name)
	}
	return n, nil
}

// noLabels is the policy of an image that has none.
type noLabels struct{}

func (noLabels) Label(string, uint32) (string, bool) { return "", false }

// A fileLabel is a label that may be missing.
type fileLabel struct {
	label string
	ok    bool
}

// A labelling is the state of one walk that labels a tree.
type labelling struct {
	labeler Labeler
	done    map[*Node]fileLabel // files with several names seen, with the label they got
	lists   map[string]*[]Xattr // of files that have no attribute but that label
}

// label labels the directory dir and all below it.
func (l *labelling) label(path string, dir *Node) {
	l.set(dir, l.lookup(path, dir))
	for _, e := range dir.Entries() {
		p := strings.TrimSuffix(path, "/") + "/" + e.Name
		if e.Node.IsDir() {
			l.label(p, e.Node)
			continue
		}
		want := l.lookup(p, e.Node)
		n := e.Node
		if got, ok := l.done[n]; ok && got != want {
			n = n.Clone()
			dir.Set(e.Name, n)
		}
		if n.Linked() {
			l.done[n] = want
		}
		l.set(n, want)
	}
}

func (l *labelling) lookup(path string, n *Node) fileLabel {
	label, ok := l.labeler.Label(path, n.Mode)
	return fileLabel{label, ok}
}

// set gives n an SELinux label, or takes it away.
func (l *labelling) set(n *Node, want fileLabel) {
	n.KeepXattrs(func(name string) bool { return name != XattrSELinux })
	switch {
	case !want.ok:
	case n.xattrs != nil:
		n.SetXattr(XattrSELinux, want.label)
	default:
		list := l.lists[want.label]
		if list == nil {
			list = &[]Xattr{{XattrSELinux, want.label}}
			l.lists[want.label] = list
		}
		n.xattrs = list
	}
}
