package layer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/stream"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
)

// A Stream is a layer as Import has stored it: a *stream.Reader.
type Stream interface {
	Next() (stream.Chunk, error)
}

// A Merger merges the layers of an image, lowest first. The zero Merger has no
// layers yet.
//
// A whiteout removes what the layers below have, wherever it stands in its own. A
// directory that no layer has is made for what is in it: 0755, of root, from 1970.
// Nothing is ever followed: a name means an entry of this tree whatever symbolic
// links there are.
type Merger struct {
	// Root is the tree so far, nil without layers. Links are not counted. After an
	// error it is of no more use.
	Root *tree.Node

	// InOrder has each entry take its effect in the order of the archive, as
	// composefs-rs does it: a whiteout then also removes what came before it in the
	// same layer, and a directory that no layer has is an error.
	InOrder bool

	// Expand has ApplyStored put the contents of sparse files, for which the layers
	// have less than they are, into the repository. Otherwise the tree has digests of
	// objects that are not there.
	Expand bool

	// Measured are the objects that Expand would have put into the repository, with their
	// sizes.
	Measured map[digest.Digest]int64

	// Late are the whiteouts, a few of them, that make InOrder another tree.
	Late []string

	expanded int64 // bytes of sparse files
	holes    int64 // bytes of these that no layer has
	files    int64 // at most
	names    int64 // bytes of them, at most
}

// maxLate is how many names Late has: they are for a message.
const maxLate = 10

// apply merges a layer over those before it, as ApplyStored does. objects are for
// sparse files.
func (m *Merger) apply(ctx context.Context, stream Stream, objects objects) error {
	return m.merge(ctx, &chunks{ctx: ctx, stream: stream, objects: objects})
}

// A contents gives the bytes of an archive, and enters the content of an entry
// into its node.
type contents interface {
	source
	content(e *entry) error
}

func (m *Merger) merge(ctx context.Context, src contents) error {
	l := m.begin()
	p := parser{src: src}
	var attrs attrCounter
	for entries := int64(0); ; entries++ {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		e, err := p.next()
		if err == io.EOF {
			if err := l.end(); err != nil {
				return err
			}
			return errors.Join(m.countFiles(entries+l.made), m.countNames(l.names))
		}
		if err == nil {
			err = limits.Files.Check(entries + l.made)
		}
		if err != nil {
			return err
		}
		if err = m.countSparse(e); err == nil {
			err = src.content(e)
		}
		if err == nil && e.node != nil {
			err = attrs.add(e.node, l.lower, l.upper)
		}
		if err == nil {
			err = l.spend(e)
		}
		if err == nil {
			err = l.enter(e)
		}
		if err != nil {
			return fmt.Errorf("entry %s: %w", quote(e.name), err)
		}
	}
}

// countFiles adds what a layer has made, and counts what there is where that may be too
// much: layers replace and remove files.
func (m *Merger) countFiles(made int64) error {
	if m.files += made; limits.Files.Check(m.files) == nil {
		return nil
	}
	m.files = 0
	m.Root.Walk(func(string, *tree.Node) { m.files++ })
	return limits.Files.Check(m.files)
}

// A layering is a layer on its way over those below.
type layering struct {
	*Merger
	lower *tree.Node // the layers below
	upper *tree.Node // this layer by itself, or lower if entries take effect in order
	aside *tree.Node // what AUFS has beside a tree, see isAUFS

	implied map[*tree.Node]bool // directories of upper that have no entry so far
	made    int64               // directories without an entry, all in all
	names   int64               // bytes of names, and of what symbolic links lead to
	whole   map[*tree.Node]bool // directories of upper over which something else was, so that nothing below shows
	blocked map[string]string   // whiteouts in what is no directory below, by the path of that
}

func newDirectory() *tree.Node { return &tree.Node{Mode: tree.TypeDir | 0o755} }

func (m *Merger) begin() *layering {
	l := &layering{
		Merger: m, lower: m.Root, aside: newDirectory(),
		implied: make(map[*tree.Node]bool), whole: make(map[*tree.Node]bool), blocked: make(map[string]string),
	}
	if l.lower == nil {
		l.lower = newDirectory()
	}
	l.upper = l.lower
	if !m.InOrder {
		l.upper = newDirectory()
		l.upper.CopyMetadata(l.lower)
	}
	return l
}

// end puts the layer over those below.
func (l *layering) end() error {
	l.Root = l.lower
	if l.InOrder {
		return nil
	}
	l.lower.CopyMetadata(l.upper)
	if err := l.cover(l.lower, l.upper, nil); err != nil {
		return err
	}
	for dir, name := range l.blocked {
		if n := l.lower.Lookup(dir); n == nil || !n.IsDir() {
			return fmt.Errorf("entry %s: %w", quote(name), notDirectory(dir))
		}
	}
	return nil
}

// cover moves what is in the directory upper over the directory lower.
func (l *layering) cover(lower, upper *tree.Node, path []string) error {
	for _, e := range upper.Entries() {
		old := lower.Entry(e.Name)
		switch {
		case old == nil || !e.Node.IsDir() || l.whole[e.Node]:
			lower.Move(e.Name, e.Node)
			continue
		case !old.IsDir() && l.implied[e.Node]:
			return notDirectory(strings.Join(append(path, e.Name), "/"))
		case !old.IsDir():
			lower.Move(e.Name, e.Node)
			continue
		}
		if !l.implied[e.Node] {
			old.CopyMetadata(e.Node)
		}
		if err := l.cover(old, e.Node, append(path, e.Name)); err != nil {
			return err
		}
	}
	return nil
}

func notDirectory(path string) error { return fmt.Errorf("%q is not a directory", "/"+path) }

// enter enters e into the layer.
func (l *layering) enter(e *entry) error {
	if len(e.path) == 0 {
		l.upper.CopyMetadata(e.node)
		return nil
	}
	dir, name := e.path[:len(e.path)-1], e.path[len(e.path)-1]
	top := l.upper
	switch aside, below := belowWhiteout(dir); {
	case aside:
		top = l.aside
	case below != "":
		return fmt.Errorf("it is below the whiteout %q", below)
	case isWhiteout(name):
		return l.whiteout(e, dir, name)
	}
	node := e.node
	if node == nil {
		var err error
		if node, err = l.linked(e.target); err != nil {
			return err
		}
	}
	to, err := l.directory(top, dir)
	if err != nil {
		return err
	}
	l.place(to, name, node)
	return nil
}

// place enters a node into a directory of the layer.
func (l *layering) place(dir *tree.Node, name string, node *tree.Node) {
	old := dir.Entry(name)
	switch {
	case old != nil && old.IsDir() && node.IsDir():
		old.CopyMetadata(node)
		delete(l.implied, old)
		return
	case old != nil && node.IsDir():
		l.whole[node] = true
	}
	dir.Set(name, node)
}

// directory returns the directory with a path in the layer, and makes it if the
// layer has none.
func (l *layering) directory(root *tree.Node, path []string) (*tree.Node, error) {
	for i, name := range path {
		next := root.Entry(name)
		switch {
		case next == nil && l.InOrder:
			return nil, fmt.Errorf("its directory %q is not there", "/"+strings.Join(path[:i+1], "/"))
		case next == nil:
			next = newDirectory()
			l.implied[next] = true
			l.made++
			l.names += int64(len(name))
			root.Set(name, next)
		case !next.IsDir():
			return nil, notDirectory(strings.Join(path[:i+1], "/"))
		}
		root = next
	}
	return root, nil
}

// linked returns the file that a hard link to path shares: of this layer, or of one
// below.
func (l *layering) linked(path []string) (*tree.Node, error) {
	upper, lower := l.upper, l.lower
	if aside, _ := belowWhiteout(path[:len(path)-1]); aside {
		upper, lower = l.aside, nil
	}
	var node *tree.Node
	for i, name := range path {
		if upper, lower, node = l.step(upper, lower, name); node == nil {
			return nil, fmt.Errorf("hard link to %q, which is not there", "/"+strings.Join(path, "/"))
		}
		if i < len(path)-1 && !node.IsDir() {
			return nil, fmt.Errorf("hard link to %q: %w", "/"+strings.Join(path, "/"), notDirectory(strings.Join(path[:i+1], "/")))
		}
	}
	if node.IsDir() {
		return nil, fmt.Errorf("hard link to the directory %q", "/"+strings.Join(path, "/"))
	}
	return node, nil
}

// step returns what is called name in both directories, of which one may be nil, and
// which of the two shows.
func (l *layering) step(upper, lower *tree.Node, name string) (above, below, shown *tree.Node) {
	if upper != nil {
		above = upper.Entry(name)
	}
	if lower != nil {
		below = lower.Entry(name)
	}
	if above == nil {
		return nil, below, below
	}
	if l.whole[above] || below != nil && !below.IsDir() {
		below = nil
	}
	return above, below, above
}
