package erofs

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	goerofs "github.com/erofs/go-erofs"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs"
	"github.com/sysupdate-image/sysupdate-image/internal/digest"
)

// mkcomposefs returns the path of the original, which $MKCOMPOSEFS names, or is
// in the path, or hack/mkcomposefs gets from Debian; composefs-info is beside it.
func mkcomposefs(t *testing.T) string {
	t.Helper()
	name := os.Getenv("MKCOMPOSEFS")
	if name == "" {
		name = "mkcomposefs"
	}
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Skipf("mkcomposefs is not installed, and there is no place to unpack it: %v", err)
	}
	cmd := exec.Command("../../hack/mkcomposefs", filepath.Join(cache, "sysupdate-image", "mkcomposefs"))
	var why bytes.Buffer
	cmd.Stderr = &why
	out, err := cmd.Output()
	if err != nil {
		t.Skipf("mkcomposefs is not installed, and cannot be had from Debian sid: %v: %s", err, &why)
	}
	return strings.TrimSpace(string(out))
}

const (
	randomTrees = 500
	seedVar     = "SYSUPDATE_SEED" // repeats a run
)

// TestRandomTrees compares the images of random trees with those of the
// original, and reads them: our reader gives the dump again, and so does
// composefs-info; go-erofs and fsck.erofs find nothing wrong. Each run has other
// trees.
func TestRandomTrees(t *testing.T) {
	program := mkcomposefs(t)
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv(seedVar); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d trees; to repeat the run, set %s=%d", randomTrees, seedVar, seed)
	c := comparer{t: t, program: program, dir: t.TempDir()}
	for i := range randomTrees {
		g := generator{Rand: rand.New(rand.NewPCG(seed, uint64(i)))}
		tree := g.tree()
		if !c.compare(i, tree) {
			name := filepath.Join(os.TempDir(), fmt.Sprintf("tree-%d-%d.dump", seed, i))
			if err := os.WriteFile(name, []byte(dump(t, tree)), 0o644); err != nil {
				t.Error(err)
			}
			t.Fatalf("tree %d of %s=%d is in %s", i, seedVar, seed, name)
		}
	}
	t.Logf("%d names, %d images", c.names, c.images)
}

type comparer struct {
	t             *testing.T
	program, dir  string
	names, images int
}

// compare compares all versions of the image of a tree, and says whether they
// are the same.
func (c *comparer) compare(i int, tree *composefs.Node) bool {
	c.t.Helper()
	text := dump(c.t, tree)
	c.names += strings.Count(text, "\n")
	if err := os.WriteFile(c.dir+"/dump", []byte(text), 0o600); err != nil {
		c.t.Fatal(err)
	}
	parsed, err := composefs.ParseDump(strings.NewReader(text))
	if err != nil {
		c.t.Errorf("tree %d: %v", i, err)
		return false
	}
	ok := true
	for version, args := range map[int][]string{
		V0: {"--min-version=0", "--max-version=0"}, V1: {"--min-version=1"}, Auto: nil,
	} {
		c.images++
		image := c.dir + "/image"
		out, err := exec.Command(c.program, append(args, "--from-file", c.dir+"/dump", image)...).CombinedOutput()
		if err != nil {
			c.t.Errorf("tree %d: mkcomposefs %v: %v: %s", i, args, err, out)
			return false
		}
		want, err := os.ReadFile(image)
		if err != nil {
			c.t.Fatal(err)
		}
		got := write(c.t, parsed, Options{Version: version, Dialect: Mkcomposefs})
		if !bytes.Equal(got, want) {
			c.t.Errorf("tree %d: mkcomposefs %v makes another image", i, args)
			ok = false
			continue
		}
		ok = c.read(i, version, got, text) && ok
	}
	return ok
}

// read reads an image by all means.
func (c *comparer) read(i, version int, image []byte, want string) bool {
	c.t.Helper()
	ok := true
	if got := dump(c.t, read(c.t, image)); got != want {
		c.t.Errorf("tree %d, version %d: the image reads as\n%s", i, version, firstDifference(got, want))
		ok = false
	}
	if _, err := goerofs.Open(bytes.NewReader(image)); err != nil {
		c.t.Errorf("tree %d, version %d: go-erofs: %v", i, version, err)
		ok = false
	}
	if fsck, err := exec.LookPath("fsck.erofs"); err == nil {
		if out, err := exec.Command(fsck, c.dir+"/image").CombinedOutput(); err != nil {
			c.t.Errorf("tree %d, version %d: fsck.erofs: %v\n%s", i, version, err, out)
			ok = false
		}
	}
	out, err := exec.Command(filepath.Join(filepath.Dir(c.program), "composefs-info"), "dump", c.dir+"/image").Output()
	if err != nil {
		c.t.Errorf("tree %d, version %d: composefs-info dump: %v", i, version, err)
		return false
	}
	theirs, err := composefs.ParseDump(bytes.NewReader(out))
	if err != nil {
		c.t.Errorf("tree %d, version %d: dump of composefs-info: %v", i, version, err)
		return false
	}
	ours, err := composefs.ParseDump(strings.NewReader(want))
	if err != nil {
		c.t.Fatal(err)
	}
	forgive(theirs, ours)
	if got := dump(c.t, theirs); got != want {
		c.t.Errorf("tree %d, version %d: composefs-info dumps\n%s", i, version, firstDifference(got, want))
		ok = false
	}
	return ok
}

// forgive undoes in a dump of composefs-info 1.0.8 what is its own: it leaves the
// mark on a directory with whiteouts that mkcomposefs has put there, loses an ACL
// of no bytes, and reads a payload path on behind its end, if no padding follows.
func forgive(theirs, ours *composefs.Node) {
	for _, name := range []string{"system.posix_acl_access", "system.posix_acl_default"} {
		if v, ok := ours.Xattr(name); ok && v == "" {
			theirs.SetXattr(name, "")
		}
	}
	for _, e := range theirs.Entries() {
		n := ours.Entry(e.Name)
		if n == nil {
			continue
		}
		forgive(e.Node, n)
		switch {
		case e.Node.IsWhiteout():
			theirs.KeepXattrs(func(name string) bool {
				_, own := ours.Xattr(name)
				return own || name != "trusted.overlay.opaque" && name != "user.overlay.opaque"
			})
		case len("/"+n.Payload)%4 == 0 && strings.HasPrefix(e.Node.Payload, n.Payload):
			e.Node.Payload = n.Payload
		}
	}
}

// A generator makes trees of all that mkcomposefs takes.
type generator struct {
	*rand.Rand
	files  []*composefs.Node // to give more names to
	xattrs []composefs.Xattr // that several files have
	times  []composefs.Time
	left   int // names to make
}

func (g *generator) tree() *composefs.Node {
	g.left = 1 + g.IntN(8)*g.IntN(8)*g.IntN(8)
	for range 4 {
		g.times = append(g.times, g.time())
		g.xattrs = append(g.xattrs, g.xattr())
	}
	root := g.directory(0)
	root.Walk(func(_ string, n *composefs.Node) {
		if n.Nlink == 0 {
			n.Nlink = uint32(1 + g.IntN(3))
		}
	})
	g.countDirectories(root)
	return root
}

// countDirectories sets the link counts of directories: mkcomposefs does not
// take them from the dump.
func (g *generator) countDirectories(n *composefs.Node) {
	n.Nlink = 2
	for _, e := range n.Entries() {
		if e.Node.IsDir() {
			n.Nlink++
			g.countDirectories(e.Node)
		}
	}
}

func (g *generator) directory(depth int) *composefs.Node {
	dir := g.node(composefs.TypeDir)
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
func (g *generator) node(kind uint32) *composefs.Node {
	n := &composefs.Node{Mode: kind | uint32(g.IntN(0o10000)), Mtime: g.times[g.IntN(len(g.times))]}
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

func (g *generator) time() composefs.Time {
	t := composefs.Time{Sec: g.Int64N(1 << 33), Nsec: uint32(g.IntN(1e9))}
	switch g.IntN(4) {
	case 0:
		t.Nsec = 0
	case 1:
		t = composefs.Time{Sec: g.Int64N(10), Nsec: uint32(g.IntN(3))}
	case 2:
		if g.IntN(20) == 0 {
			t.Sec = -t.Sec
		}
	}
	return t
}

// file returns any file that is no directory.
func (g *generator) file() *composefs.Node {
	switch g.IntN(12) {
	case 0, 1:
		n := g.node(composefs.TypeSymlink)
		n.Target = g.text(g.size(4095, 1), "ab/.\xff")
		return n
	case 2:
		n := g.node([]uint32{composefs.TypeChar, composefs.TypeBlock}[g.IntN(2)])
		n.Rdev = g.id() // 0 makes a whiteout of a character device
		return n
	case 3:
		return g.node([]uint32{composefs.TypeFIFO, composefs.TypeSocket}[g.IntN(2)])
	}
	n := g.node(composefs.TypeRegular)
	switch g.IntN(5) {
	case 0: // nothing in it
	case 1, 2:
		n.Inline = []byte(g.text(g.size(composefs.MaxInline, 1), "ab\x00\xff\\ -="))
		n.Size = uint64(len(n.Inline))
	case 3:
		n.Size = 1 + g.Uint64N(1<<g.IntN(48))
		n.Payload = g.text(g.size(300, 1), "ab/.-")
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

func (g *generator) xattr() composefs.Xattr {
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
	return composefs.Xattr{Name: name, Value: g.text(size, "ab\x00\xff= ")}
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
