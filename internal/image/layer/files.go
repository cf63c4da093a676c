package layer

import (
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
)

// spend counts the bytes that an entry takes in memory by its name and by what it
// leads to: archives compress these a thousandfold.
func (l *layering) spend(e *entry) error {
	if len(e.path) > 0 {
		l.names += int64(len(e.path[len(e.path)-1]))
	}
	if e.node != nil {
		l.names += int64(len(e.node.Target))
	}
	return limits.Names.Check(l.names)
}

// countNames adds what a layer has, and counts what there is where that may be too much.
func (m *Merger) countNames(made int64) error {
	if m.names += made; limits.Names.Check(m.names) == nil {
		return nil
	}
	m.names = 0
	m.Root.Walk(func(path string, n *tree.Node) {
		m.names += int64(len(path)-1-strings.LastIndexByte(path, '/')) + int64(len(n.Target))
	})
	return limits.Names.Check(m.names)
}
