package merge

import (
	"fmt"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
)

// setID are the bits of a mode that give a program the rights of its owner.
const setID = 0o6000

// capability is the attribute that gives a program capabilities.
const capability = "security.capability"

// A pair is a file here and the new default for it.
type pair struct{ local, new *tree.Node }

// mergeAttributes merges a file of which only owner, mode or attributes were
// changed here: content, target and device number are those of the image, so a
// chmod(1) does not keep new defaults from coming.
func (m *merger) mergeAttributes(path string, b, l, n *tree.Node) (*tree.Node, error) {
	if n.IsDir() || n.IsSymlink() && !l.IsSymlink() {
		m.result.Warnings = append(m.result.Warnings,
			fmt.Sprintf("%s: the local owner, mode or attributes are dropped: the new image has something else there", path))
		return n, nil
	}
	if out, ok := m.attributed[pair{l, n}]; ok {
		return out, nil // under another of its names
	}
	out := n.Clone()
	mergeMetadata(out, b, l, n)
	out.Mtime = n.Mtime
	if l.UID != b.UID || l.GID != b.GID {
		// As chown(2) does: nobody asked for a program with the rights of the
		// new owner.
		out.Mode &^= setID &^ l.Mode
		if _, ok := l.Xattr(capability); !ok {
			out.KeepXattrs(func(name string) bool { return name != capability })
		}
	}
	if same, err := m.same(out, n); err != nil {
		return nil, err
	} else if same {
		out = n
	}
	if overrides(b, l, n) {
		m.result.NewDefaults = append(m.result.NewDefaults, NewDefault{path, b, l, n})
	}
	if same, err := m.same(l, out); err != nil {
		return nil, err
	} else if same {
		out = preferLinked(l, out)
	}
	m.attributed[pair{l, n}] = out
	return out, nil
}
