package erofs

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
)

// A generator makes trees of all that mkcomposefs takes.
type generator struct {
	*rand.Rand
	files  []*tree.Node // to give more names to
	xattrs []tree.Xattr // that several files have
	times  []tree.Time
	left   int // names to make

	// common leaves out what composefs-rs does not take from a dump: see
	// docs/formats/composefs.md, section 1.9.
	common bool
}

func (g *generator) tree() *tree.Node {
	g.left = 1 + g.IntN(8)*g.IntN(8)*g.IntN(8)
	for range 4 {
		g.times = append(g.times, g.time())
		g.xattrs = append(g.xattrs, g.xattr())
	}
	root := g.directory(0)
	root.Walk(func(_ string, n *tree.Node) {
		if n.Nlink == 0 {
			n.Nlink = uint32(1 + g.IntN(3))
		}
	})
	g.countDirectories(root)
	if g.common {
		root.CountLinks()
	}
	return root
}

// countDirectories sets the link counts of directories: mkcomposefs does not
// take them from the dump.
func (g *generator) countDirectories(n *tree.Node) {
	n.Nlink = 2
	for _, e := range n.Entries() {
		if e.Node.IsDir() {
			n.Nlink++
			g.countDirectories(e.Node)
		}
	}
}

func (g *generator) directory(depth int) *tree.Node {
	dir := g.node(tree.TypeDir)
	size := g.IntN(12)
	if g.IntN(30) == 0 {
		size = 200 + g.IntN(200) // several blocks
	}
	for ; size > 0 && g.left > 0; size-- {
		g.left--
		name := g.name()
		if dir.Entry(name) != nil {
			continue
		}
		switch {
		case g.IntN(4) == 0 && depth < 6:
			dir.Set(name, g.directory(depth+1))
		case g.IntN(10) == 0 && len(g.files) > 0:
			dir.Set(name, g.files[g.IntN(len(g.files))])
		default:
			n := g.file()
			dir.Set(name, n)
			if !n.IsWhiteout() {
				g.files = append(g.files, n)
			}
		}
	}
	return dir
}

// node returns a file with random metadata.
func (g *generator) node(kind uint32) *tree.Node {
	n := &tree.Node{Mode: kind | uint32(g.IntN(0o10000)), Mtime: g.times[g.IntN(len(g.times))]}
	if g.IntN(3) == 0 {
		n.UID, n.GID = g.id(), g.id()
	}
	if g.IntN(4) == 0 {
		n.Mtime = g.time()
	}
	for range g.IntN(3) * g.IntN(3) {
		x := g.xattr()
		if g.IntN(2) == 0 {
			x = g.xattrs[g.IntN(len(g.xattrs))]
		}
		n.SetXattr(x.Name, x.Value)
	}
	return n
}

func (g *generator) id() uint32 {
	return []uint32{0, 1, 1000, 65535, 65536, 1<<32 - 1}[g.IntN(6)]
}

func (g *generator) time() tree.Time {
	t := tree.Time{Sec: g.Int64N(1 << 33), Nsec: uint32(g.IntN(1e9))}
	switch g.IntN(4) {
	case 0:
		t.Nsec = 0
	case 1:
		t = tree.Time{Sec: g.Int64N(10), Nsec: uint32(g.IntN(3))}
	case 2:
		if g.IntN(20) == 0 && !g.common {
			t.Sec = -t.Sec
		}
	}
	return t
}

// file returns any file that is no directory.
func (g *generator) file() *tree.Node {
	switch g.IntN(12) {
	case 0, 1:
		n := g.node(tree.TypeSymlink)
		n.Target = g.text(g.size(g.most(4095, 1024), 1), "ab/.\xff")
		return n
	case 2:
		n := g.node([]uint32{tree.TypeChar, tree.TypeBlock}[g.IntN(2)])
		n.Rdev = g.id() // 0 makes a whiteout of a character device
		return n
	case 3:
		return g.node([]uint32{tree.TypeFIFO, tree.TypeSocket}[g.IntN(2)])
	}
	n := g.node(tree.TypeRegular)
	kind := g.IntN(5)
	if kind == 3 && g.common {
		kind = 4
	}
	switch kind {
	case 0: // nothing in it
	case 1, 2:
		n.Inline = []byte(g.text(g.size(g.most(tree.MaxInline, 512), 1), "ab\x00\xff\\ -="))
		n.Size = uint64(len(n.Inline))
	case 3:
		n.Size = 1 + g.Uint64N(1<<g.IntN(48))
		n.SetPayload(g.text(g.size(300, 1), "ab/.-"))
	case 4:
		n.Size = 1 + g.Uint64N(1<<g.IntN(48))
		sum := make([]byte, 32)
		for i := range sum {
			sum[i] = byte(g.Uint32())
		}
		var err error
		if n.Digest, err = digest.FromBytes(digest.SHA256, sum); err != nil {
			panic(err)
		}
	}
	return n
}

// most returns the limit that holds.
func (g *generator) most(here, common int) int {
	if g.common {
		return common
	}
	return here
}

// size returns a number that is near where layouts change, or small.
func (g *generator) size(most, least int) int {
	edges := []int{1, 32, 64, 65, 255, 1024, 2047, 2048, 2049, 3900, 4000, 4032, 4064, 4095, 4096, 4097, 5000}
	size := g.IntN(40)
	if g.IntN(3) == 0 {
		size = edges[g.IntN(len(edges))] - g.IntN(2)
	}
	return max(least, min(size, most))
}

// text returns so many bytes out of an alphabet.
func (g *generator) text(size int, alphabet string) string {
	b := make([]byte, size)
	for i := range b {
		b[i] = alphabet[g.IntN(len(alphabet))]
	}
	if string(b) == "-" {
		return "a" // stands for nothing in some fields
	}
	return string(b)
}

func (g *generator) name() string {
	size := 1 + g.IntN(6)
	if g.IntN(20) == 0 {
		size = 200 + g.IntN(56)
	}
	name := g.text(size, "abc012!+-.=\\ \n\xff")
	if name == "." || name == ".." {
		return "00" // the name of one of the 256 that every image has
	}
	return name
}

func (g *generator) xattr() tree.Xattr {
	prefixes := []string{"user.", "trusted.", "security.", "user.overlay.", "trusted.overlay.", "trusted.overlay.overlay.", "system.", "lustre.", ""}
	name := prefixes[g.IntN(len(prefixes))] + g.text(1+g.IntN(4), "abc=")
	fixed := []string{"system.posix_acl_access", "system.posix_acl_default", "security.selinux", "security.capability"}
	if g.IntN(3) == 0 {
		name = fixed[g.IntN(len(fixed))]
	}
	size := g.IntN(20)
	if g.IntN(10) == 0 {
		size = g.size(2000, 0)
	}
	return tree.Xattr{Name: name, Value: g.text(size, "ab\x00\xff= ")}
}

// TestGenerator: its trees have something of everything.
func TestGenerator(t *testing.T) {
	var all strings.Builder
	for i := range 50 {
		g := generator{Rand: rand.New(rand.NewPCG(1, uint64(i)))}
		all.WriteString(dump(t, g.tree()))
	}
	kinds := []string{" 4", " 10", " 12", " 2", " 6", " 1", " 14", " @"}
	seen := slices.DeleteFunc(kinds, func(kind string) bool { return !strings.Contains(all.String(), kind) })
	if len(seen) != len(kinds) {
		t.Errorf("of the types %q, only %q are in 50 trees", kinds, seen)
	}
}
