package erofs

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
)

// write returns the image of a tree.
func write(t testing.TB, root *tree.Node, opts Options) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Write(t.Context(), &b, root, opts); err != nil {
		t.Fatalf("Write(%+v): %v", opts, err)
	}
	return b.Bytes()
}

func read(t testing.TB, image []byte) *tree.Node {
	t.Helper()
	root, err := Read(bytes.NewReader(image), int64(len(image)))
	if err != nil {
		t.Fatalf("Read: %v", err)
	}
	return root
}

func firstDifference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			return fmt.Sprintf("line %d is %q; want %q", i+1, g[i], w[i])
		}
	}
	return fmt.Sprintf("it has %d lines; want %d", len(g), len(w))
}

// kept reduces a tree to what an image of that version keeps of it.
func kept(root *tree.Node, version int) {
	root.Walk(func(_ string, n *tree.Node) {
		if n.IsRegular() && (n.Size == 0 || len(n.Inline) > 0) {
			n.Digest, n.NoPayload = tree.Node{}.Digest, false
			n.SetPayload("")
		}
		if version == V2 {
			n.Mtime.Nsec = 0
		}
	})
}

// TestReadVectors: dump, image, dump, image: both dumps and both images are
// the same.
func TestReadVectors(t *testing.T) {
	for _, v := range vectors(t) {
		tree := parse(t, v.dump)
		image := write(t, tree, v.opts)
		again := read(t, image)
		kept(tree, v.opts.Version)
		if v.opts.Version == V2 {
			tree.CountLinks() // V2 counts
		}
		if got, want := dump(t, again), dump(t, tree); got != want {
			t.Errorf("%s, %+v: the tree of the image: %s", v.dump, v.opts, firstDifference(got, want))
		}
		if !bytes.Equal(write(t, again, v.opts), image) {
			t.Errorf("%s, %+v: the image of the image's tree is another", v.dump, v.opts)
		}
	}
}

// corners are trees for what the writers treat in a special way.
var corners = []struct{ name, dump string }{
	{"a file that looks like an escaped whiteout", "/ 0 40755 3 0 0 0 0.0 - - -\n" +
		"/d 0 40755 2 0 0 0 1.0 - - -\n" +
		"/d/f 0 100644 1 0 0 0 1.0 - - - trusted.overlay.whiteout= user.overlay.whiteout=\n"},
	{"a directory with the marks of whiteouts, and none", "/ 0 40755 3 0 0 0 0.0 - - -\n" +
		"/d 0 40755 2 0 0 0 1.0 - - - trusted.overlay.opaque=x trusted.overlay.whiteouts= user.overlay.opaque=x user.overlay.whiteouts=\n" +
		"/d/f 0 100644 1 0 0 0 1.0 - - -\n"},
	{"an opaque directory with a whiteout", "/ 0 40755 3 0 0 0 0.0 - - -\n" +
		"/d 0 40755 2 0 0 0 1.0 - - - trusted.overlay.opaque=y user.overlay.opaque=x\n" +
		"/d/f 0 20644 1 0 0 0 1.0 - - - user.overlay.whiteout=\n" +
		"/d/g 0 20644 1 0 0 0 1.0 - - - user.overlay.whiteout=yes\n"},
	{"a whiteout in the root called like a stub", "/ 0 40755 2 0 0 0 0.0 - - -\n/00 0 20600 1 0 0 0 0.0 - - -\n"},
	{"a file in the root called like a stub", "/ 0 40755 2 0 0 0 0.0 - - -\n/ff 1 100600 1 0 0 0 0.0 - x -\n"},
	{"names that come before . and ..", "/ 0 40755 2 0 0 0 0.0 - - -\n" +
		"/! 0 100600 1 0 0 0 0.0 - - -\n/+x 0 100600 1 0 0 0 0.0 - - -\n/.- 0 100600 1 0 0 0 0.0 - - -\n/..a 0 100600 1 0 0 0 0.0 - - -\n"},
	{"times before 1970", "/ 0 40755 2 0 0 0 -5.1 - - -\n/a 0 100600 1 0 0 0 -5.2 - - -\n/b 0 100600 1 0 0 0 9.0 - - -\n"},
	{"a label on the root", "/ 0 40755 2 0 0 0 0.0 - - - security.selinux=x user.a=b\n"},
	{"attributes of overlayfs, escaped more than once", "/ 0 40755 2 0 0 0 0.0 - - - trusted.overlay.opaque=y trusted.overlay.overlay.opaque=z\n" +
		"/f 0 100644 1 0 0 0 1.0 - - - trusted.overlay.metacopy=a trusted.overlay.overlay.redirect=b trusted.overlay.redirect=c\n"},
	{"a link whose home is not its first name", "/ 0 40755 2 0 0 0 0.0 - - -\n/a 0 @120000 - - - - 0.0 /b/c - -\n" +
		"/b 0 40755 2 0 0 0 0.0 - - -\n/b/b 0 @120000 - - - - 0.0 /b/c - -\n/b/c 0 100644 3 0 0 0 0.0 - - -\n/d 0 100644 1 0 0 0 0.0 - - -\n"},
	{"a digest that is not where the content is", "/ 0 40755 2 0 0 0 0.0 - - -\n" +
		"/a 9 100644 1 0 0 0 0.0 - - " + strings.Repeat("ab", 32) + "\n/b 9 100644 1 0 0 0 0.0 some/where - " + strings.Repeat("ab", 32) + "\n" +
		"/c 9 100644 1 0 0 0 0.0 ab/" + strings.Repeat("ab", 31) + " - -\n/d 9 100644 1 0 0 0 0.0 - - -\n"},
	{"long content in the image", "/ 0 40755 2 0 0 0 0.0 - - -\n/a 2048 100644 1 0 0 0 0.0 - " + strings.Repeat("a", 2048) + " -\n" +
		"/b 2049 100644 1 0 0 0 0.0 - " + strings.Repeat("b", 2049) + " -\n/c 5000 100644 1 0 0 0 0.0 - " + strings.Repeat("c", 5000) + " -\n" +
		"/d 4096 100644 1 0 0 0 0.0 - " + strings.Repeat("d", 4096) + " -\n"},
	{"long links", "/ 0 40755 2 0 0 0 0.0 - - -\n/a 4095 120777 1 0 0 0 0.0 " + strings.Repeat("a", 4095) + " - -\n" +
		"/b 4000 120777 1 0 0 0 0.0 " + strings.Repeat("b", 4000) + " - -\n/c 4064 120777 1 0 0 0 7.0 " + strings.Repeat("c", 4064) + " - -\n"},
	{"large files", "/ 0 40755 2 0 0 0 0.0 - - -\n/a 9007199254740992 100644 1 0 0 0 0.0 a - -\n/b 9007199254740991 100644 1 0 0 0 9.0 b - -\n" +
		"/c 8796093022208 100644 1 0 0 0 9.0 c - -\n/d 8796093022209 100644 1 0 0 0 9.0 d - -\n/e 4294967296 100644 1 0 0 0 0.0 e - -\n"},
	{"all types", "/ 0 40755 2 0 0 0 0.0 - - -\n/b 0 60600 1 0 0 2049 0.0 - - -\n/c 0 20600 1 0 0 259 0.0 - - -\n" +
		"/d 0 10600 1 0 0 0 0.0 - - -\n/s 0 140600 1 0 0 0 0.0 - - -\n"},
}

func cornerTree(t testing.TB, dump string) *tree.Node {
	t.Helper()
	root, err := tree.ParseDump(strings.NewReader(dump))
	if err != nil {
		t.Fatal(err)
	}
	return root
}

func TestReadCorners(t *testing.T) {
	for _, c := range corners {
		for _, opts := range []Options{
			{Version: V0, Dialect: Mkcomposefs}, {Version: V1, Dialect: Mkcomposefs}, {Version: Auto, Dialect: Mkcomposefs},
			{Version: V0}, {Version: V1}, {Version: V2},
		} {
			image := write(t, cornerTree(t, c.dump), opts)
			root, err := Read(bytes.NewReader(image), int64(len(image)))
			if err != nil {
				t.Errorf("%s, %+v: %v", c.name, opts, err)
				continue
			}
			if !bytes.Equal(write(t, root, opts), image) {
				t.Errorf("%s, %+v: the image of the image's tree is another", c.name, opts)
			}
			// What a marker replaced, V2 and a counted link are not kept.
			if opts != (Options{Version: V1}) || strings.Contains(c.dump, "@") {
				continue
			}
			if got := dump(t, root); got != dump(t, cornerTree(t, c.dump)) {
				t.Errorf("%s, %+v: the tree of the image: %s", c.name, opts, firstDifference(got, c.dump))
			}
		}
	}
}

// TestReadRefuses changes an image in one place each.
func TestReadRefuses(t *testing.T) {
	le := binary.LittleEndian
	const rootInode, tail = firstInode, firstInode + extendedSize
	tests := []struct {
		name   string
		change func(b []byte)
		want   string
	}{
		{"magic", func(b []byte) { b[0]++ }, "not a composefs image"},
		{"version", func(b []byte) { b[12] = 3 }, "unknown format version 3"},
		{"superblock", func(b []byte) { b[superblockOffset]++ }, "no EROFS superblock"},
		{"block size", func(b []byte) { b[superblockOffset+12] = 9 }, "2^9"},
		{"features", func(b []byte) { b[superblockOffset+80] = 2 }, "features"},
		{"blocks", func(b []byte) { b[superblockOffset+36]++ }, "2 blocks in 4096 bytes"},
		{"root is away", func(b []byte) { le.PutUint16(b[superblockOffset+14:], 0xffff) }, "not within the image"},
		{"root in the superblock", func(b []byte) { le.PutUint16(b[superblockOffset+14:], 32) }, "not within the image"},
		{"root is a file", func(b []byte) { le.PutUint16(b[rootInode+4:], 0o100644) }, "root is not a directory"},
		{"layout", func(b []byte) { b[rootInode] = 7 }, "unknown format"},
		{"directory with chunks", func(b []byte) { b[rootInode] = 9 }, "directory with chunks"},
		{"large directory", func(b []byte) { le.PutUint64(b[rootInode+8:], 1<<50) }, "belong to several files"},
		{"blocks away", func(b []byte) { le.PutUint64(b[rootInode+8:], 4096); b[rootInode+16] = 1 }, "not within the image"},
		{"attributes", func(b []byte) { le.PutUint16(b[rootInode+2:], 0xffff) }, "belong to several files"},
		{"name offset", func(b []byte) { b[tail+8] = 1 }, "begins its names at 1"},
		{"name order", func(b []byte) { b[tail+8+direntSize]++ }, `it comes after ".."`},
		{"own entry", func(b []byte) { b[tail]++ }, "it is inode 37: want 36"},
		{"directory loop", func(b []byte) { copy(b[tail+2*direntSize:], b[tail:tail+8]) }, "second name"},
		{"type", func(b []byte) { b[tail+2*direntSize+10] = 5 }, "entry has type 5"},
		{"inode away", func(b []byte) { b[tail+2*direntSize+7] = 0xff }, "not within the image"},
		{"slash in a name", func(b []byte) { b[tail+4*direntSize+3] = '/' }, "has a slash"},
	}
	tree := "/ 0 40755 3 0 0 0 1.0 - - -\n/a 0 40755 2 0 0 0 0.0 - - -\n/b 1 100644 1 0 0 0 0.0 - x -\n"
	good := write(t, cornerTree(t, tree), Options{Version: V2})
	for _, tt := range tests {
		b := bytes.Clone(good)
		tt.change(b)
		_, err := Read(bytes.NewReader(b), int64(len(b)))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("Read(%s) error = %v; want one with %q", tt.name, err, tt.want)
		}
	}
	for n := range len(good) {
		if _, err := Read(bytes.NewReader(good[:n]), int64(n)); err == nil {
			t.Errorf("Read(the first %d bytes) gives no error", n)
		}
		if _, err := Read(io.NewSectionReader(bytes.NewReader(good), 0, int64(n)), int64(len(good))); err == nil && n < firstInode+extendedSize {
			t.Errorf("Read(%d bytes that are said to be %d) gives no error", n, len(good))
		}
	}
}

// TestReadDamaged changes bytes at random: an error or a tree, nothing else.
func TestReadDamaged(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, name := range []string{"v103.dump", "v074.dump", "v056.dump"} {
		for _, version := range []int{V1, V2} {
			good := write(t, parse(t, name), Options{Version: version})
			for range 300 {
				b := bytes.Clone(good)
				for range 1 + random.IntN(4) {
					b[firstInode+random.IntN(len(b)-firstInode)] = byte(random.IntN(256))
				}
				checkAny(t, b)
			}
		}
	}
}

// checkAny reads bytes of any kind. What is read can be written, and what is
// then read is the same.
func checkAny(t *testing.T, b []byte) {
	objects, objectsErr := objectsOf(b)
	root, err := Read(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return
	}
	if want := sortedObjects(root.Objects()); objectsErr != nil || !slices.Equal(objects, want) {
		t.Fatalf("eachObject gives %d objects and %v; the tree has %d", len(objects), objectsErr, len(want))
	}
	version := int(binary.LittleEndian.Uint32(b[12:]))
	opts := Options{Version: version, Dialect: Mkcomposefs}
	var image bytes.Buffer
	if err := Write(t.Context(), &image, root, opts); err != nil {
		if strings.Contains(err.Error(), errAttrs.Error()) {
			return // they may take more room than they took
		}
		t.Fatalf("cannot write what was read: %v", err)
	}
	again := read(t, image.Bytes())
	if !bytes.Equal(write(t, again, opts), image.Bytes()) {
		t.Fatal("the image of the image's tree is another")
	}
}

// TestReadBomb: many inodes that claim the same large block take no more
// memory than the image has.
func TestReadBomb(t *testing.T) {
	var d strings.Builder
	d.WriteString("/ 0 40755 2 0 0 0 0.0 - - -\n")
	for i := range 2000 {
		fmt.Fprintf(&d, "/file-%04d 4096 100644 1 0 0 0 0.0 - %s -\n", i, strings.Repeat(string(rune('a'+i%26)), 4096))
	}
	image := write(t, cornerTree(t, d.String()), Options{Version: V1})
	read(t, image)
	// All of them get the block of the last, the image only that one.
	short := bytes.Clone(image[:len(image)-1999*blockSize])
	binary.LittleEndian.PutUint32(short[superblockOffset+36:], uint32(len(short)/blockSize))
	for offset := firstInode; offset+compactSize < len(short); offset += slotSize {
		if binary.LittleEndian.Uint16(short[offset+4:]) == 0o100644 {
			binary.LittleEndian.PutUint32(short[offset+16:], uint32(len(short)/blockSize-1))
		}
	}
	_, err := Read(bytes.NewReader(short), int64(len(short)))
	if err == nil || !strings.Contains(err.Error(), "belong to several files") {
		t.Errorf("Read(bomb) error = %v; want one that says that parts of it belong to several files", err)
	}
}

func FuzzRead(f *testing.F) {
	for _, name := range []string{"v040.dump", "v019.dump", "v091.dump", "v069.dump", "v125.dump"} {
		for _, version := range []int{V0, V1, V2} {
			f.Add(write(f, parse(f, name), Options{Version: version}))
		}
	}
	f.Fuzz(checkAny)
}

// FuzzTree writes and reads the trees of dumps.
func FuzzTree(f *testing.F) {
	for _, c := range corners {
		f.Add([]byte(c.dump))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		root, err := tree.ParseDump(bytes.NewReader(data))
		if err != nil {
			return
		}
		for _, opts := range []Options{{Version: V0, Dialect: Mkcomposefs}, {Version: V1}, {Version: V2}} {
			var image bytes.Buffer
			if err := Write(t.Context(), &image, root, opts); err != nil {
				continue
			}
			again := read(t, image.Bytes())
			if !bytes.Equal(write(t, again, opts), image.Bytes()) {
				t.Fatalf("%+v: the image of the image's tree is another", opts)
			}
		}
	})
}
