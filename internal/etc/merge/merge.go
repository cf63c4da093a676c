package merge

import (
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/diff"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
)

// updated is written by systemd-update-done.service to say that services have
// adapted /etc to this image; for the next image it is not true.
const updated = "/.updated"

// A merger is one run of Rebase. In its methods b, l and n are what base, local
// and new have at a path, nil if nothing.
type merger struct {
	compare
	opts   Options
	result *Result
	// removed is above 0 inside a directory that the new image does not have:
	// there the conflict is that of the directory, and not told once more.
	removed int
	aside   []aside
	// Files with several names are the same file under all of them.
	copies     map[*tree.Node]*tree.Node // see relabel
	attributed map[pair]*tree.Node       // see mergeAttributes
}

// merge returns the merged node for path, nil for none.
func (m *merger) merge(path string, b, l, n *tree.Node) (*tree.Node, error) {
	switch {
	case l == b || path == updated:
		return n, nil
	case l == nil:
		return nil, m.hidden(path, b, l, n)
	case l.IsDir():
		return m.mergeDir(path, b, l, n)
	}
	return m.mergeFile(path, b, l, n)
}

// mergeFile is merge where l is not a directory.
func (m *merger) mergeFile(path string, b, l, n *tree.Node) (*tree.Node, error) {
	edit, err := m.edit(b, l)
	if err != nil {
		return nil, err
	}
	switch {
	case edit&^diff.Label == 0:
		return m.takeNew(b, l, n)
	case n == nil:
		return l, nil
	case edit&(diff.Type|diff.Content|diff.Target|diff.Device) == 0:
		return m.mergeAttributes(path, b, l, n)
	case n.IsDir() && b != nil && b.IsDir():
		// The local file replaced the directory. It may stay as long as the
		// image says nothing new about what was in there.
		if same, err := m.sameTree(b, n); same || err != nil {
			return l, err
		}
		return m.conflict(path, FileAgainstDirectory, l, n), nil
	case n.IsDir():
		return m.conflict(path, FileAgainstDirectory, l, n), nil
	case mergesRecords(path, b, l, n):
		return m.mergeRecordFile(path, b, l, n)
	}
	r := m.relabel(b, l, n)
	if same, err := m.same(r, n); err != nil {
		return nil, err
	} else if same {
		return preferLinked(r, n), nil
	}
	return r, m.hidden(path, b, l, n)
}

// edit says what the file l has otherwise than b had: all of it, diff.Type, where b
// was no file. A new label alone is no edit: restorecon(8) gives it to files
// that nobody touched.
func (m *merger) edit(b, l *tree.Node) (diff.Aspects, error) {
	if b == nil || b.IsDir() {
		return diff.Type, nil
	}
	return m.aspects(b, l)
}

// takeNew returns the new default n for a file that is unchanged here, with
// the local label if only that was changed.
func (m *merger) takeNew(b, l, n *tree.Node) (*tree.Node, error) {
	if n == nil || n.IsDir() {
		return n, nil
	}
	if relabelled := merged(b.Label(), l.Label(), n.Label()); relabelled != n.Label() {
		n = n.Clone()
		n.SetLabel(relabelled)
	}
	same, err := m.same(l, n)
	if same {
		return preferLinked(l, n), err
	}
	return n, err
}

// preferLinked chooses between two files that are the same. One that has
// several names here keeps them if none of them changes.
func preferLinked(l, n *tree.Node) *tree.Node {
	if l.Nlink > 1 {
		return l
	}
	return n
}

// relabel returns l with the label of n if the label was not changed locally
// but in the image, whose policy must find the labels that it knows.
func (m *merger) relabel(b, l, n *tree.Node) *tree.Node {
	if b == nil || b.IsDir() || b.Label() != l.Label() || n.Label() == l.Label() {
		return l
	}
	if c, ok := m.copies[l]; ok {
		return c
	}
	c := l.Clone()
	c.SetLabel(n.Label())
	m.copies[l] = c
	return c
}

// mergeDir is merge where l is a directory.
func (m *merger) mergeDir(path string, b, l, n *tree.Node) (*tree.Node, error) {
	switch {
	case b != nil && !b.IsDir():
		return m.mergeNewDir(path, b, l, n)
	case n != nil && n.IsDir():
		return m.mergeDirs(path, b, l, n)
	case b == nil && n == nil:
		return l, nil
	case b == nil:
		return m.conflict(path, DirectoryAgainstFile, l, n), nil
	}
	// The image no longer has the directory. What was changed in it remains.
	m.removed++
	r, err := m.mergeDirs(path, b, l, nil)
	m.removed--
	switch {
	case err != nil:
		return nil, err
	case r == nil:
		return n, nil
	case n != nil:
		return m.conflict(path, DirectoryAgainstFile, r, n), nil
	case m.removed > 0:
		return r, nil
	}
	return m.conflict(path, DirectoryRemoved, r, nil), nil
}

// mergeNewDir is mergeDir where the directory took the place of a file b.
func (m *merger) mergeNewDir(path string, b, l, n *tree.Node) (*tree.Node, error) {
	if n == nil {
		return l, nil
	}
	if n.IsDir() {
		return m.mergeDirs(path, nil, l, n)
	}
	if same, err := m.same(b, n); same || err != nil {
		return l, err
	}
	return m.conflict(path, DirectoryAgainstFile, l, n), nil
}

// mergeDirs merges the directory l with b and n, which are directories or nil.
// It returns n itself if it is what comes out, and nil if n is nil and nothing
// local is left.
func (m *merger) mergeDirs(path string, b, l, n *tree.Node) (*tree.Node, error) {
	out := &tree.Node{Mode: tree.TypeDir}
	mergeMetadata(out, b, l, n)
	changed := n == nil
	for _, p := range diff.Pairs(l, n) {
		r, err := m.merge(join(path, p.Name), child(b, p.Name), p.Old, p.New)
		if err != nil {
			return nil, err
		}
		if r != nil {
			out.Set(p.Name, r)
		}
		changed = changed || r != p.New
	}
	if n == nil && b != nil && len(out.Entries()) == 0 {
		return nil, nil
	}
	if changed {
		return out, nil
	}
	same, err := m.same(out, n)
	if same {
		return n, err
	}
	return out, err
}

// hidden notes that a local change at path hides the new default n, if that is
// not the old one.
func (m *merger) hidden(path string, b, l, n *tree.Node) error {
	if n == nil {
		return nil
	}
	if b != nil {
		if same, err := m.sameTree(b, n); same || err != nil {
			return err
		}
	}
	m.result.NewDefaults = append(m.result.NewDefaults, NewDefault{path, b, l, n})
	return nil
}
