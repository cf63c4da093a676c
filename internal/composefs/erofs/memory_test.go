package erofs

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
)

// allocated returns how many bytes f allocates in all, which is more than it ever
// holds at once.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// What Read may allocate: so much for each byte of the image, and its windows.
const (
	memoryFactor = 64
	memoryBase   = 1 << 20
)

// checkMemory reads an image that is n bytes long, whatever it claims to be.
func checkMemory(t *testing.T, name string, r io.ReaderAt, size int64, n int) error {
	t.Helper()
	var err error
	got := allocated(func() { _, err = Read(r, size) })
	if limit := uint64(n)*memoryFactor + memoryBase; got > limit {
		t.Errorf("%s: Read of %d bytes allocates %d: want at most %d (error %v)", name, n, got, limit, err)
	}
	t.Logf("%-36s %9d bytes, %9d allocated: %5.1f a byte", name, n, got, float64(got)/float64(n))
	return err
}

// TestReadClaims: a small image claims to hold more than any machine has.
func TestReadClaims(t *testing.T) {
	le := binary.LittleEndian
	const entries = 1 << 40
	inode := func(b []byte, number uint64) []byte { return b[number*slotSize:] }
	root := uint64(firstInode / slotSize)
	tree := "/ 0 40755 3 0 0 0 1.0 - - -\n/a 1 100644 1 0 0 0 0.0 - x -\n/b 1 120777 1 0 0 0 0.0 x - -\n" +
		"/c 9 100644 1 0 0 0 0.0 x - -\n"
	good := write(t, cornerTree(t, tree), Options{Version: V2})
	file, link, chunks := root, root, root // the numbers of /a, /b and /c
	for number := root; number*slotSize < uint64(len(good)-extendedSize); number++ {
		switch b := inode(good, number); {
		case le.Uint16(b[4:]) == 0o100644 && le.Uint16(b)>>1 == layoutInline:
			file = number
		case le.Uint16(b[4:]) == 0o100644 && le.Uint16(b)>>1 == layoutChunk:
			chunks = number
		case le.Uint16(b[4:]) == 0o120777:
			link = number
		}
	}
	if file == root || link == root || chunks == root {
		t.Fatalf("the image has inodes %d, %d and %d", file, link, chunks)
	}
	for name, change := range map[string]func(b []byte){
		"a directory of 2^40 entries": func(b []byte) { le.PutUint64(inode(b, root)[8:], entries*direntSize) },
		"as many in whole blocks": func(b []byte) {
			inode(b, root)[0] = formatExtended
			le.PutUint64(inode(b, root)[8:], entries*blockSize)
		},
		"a file of 2^40 bytes in the image":  func(b []byte) { le.PutUint64(inode(b, file)[8:], 1<<40) },
		"a link of 2^40 bytes":               func(b []byte) { le.PutUint64(inode(b, link)[8:], 1<<40) },
		"a file of 2^63 bytes in one chunk":  func(b []byte) { le.PutUint64(inode(b, chunks)[8:], 1<<63) },
		"all attributes that a number gives": func(b []byte) { le.PutUint16(inode(b, file)[2:], 0xffff) },
		"2^32-1 blocks":                      func(b []byte) { le.PutUint32(b[superblockOffset+36:], 1<<32-1) },
		"2^64-1 inodes":                      func(b []byte) { le.PutUint64(b[superblockOffset+16:], 1<<64-1) },
	} {
		b := bytes.Clone(good)
		change(b)
		err := checkMemory(t, name, bytes.NewReader(b), int64(len(b)), len(b))
		if err == nil && name != "2^64-1 inodes" { // which says nothing that is needed
			t.Errorf("%s: Read gives no error", name)
		}
	}
	// The file, too, can be longer than what is in it.
	b := bytes.Clone(good)
	le.PutUint32(b[superblockOffset+36:], 1<<31)
	inode(b, root)[0] = formatExtended
	le.PutUint64(inode(b, root)[8:], entries*blockSize)
	for name, r := range map[string]io.ReaderAt{
		"8 TiB of which there are 4096": bytes.NewReader(b), "8 TiB of zeros": zerosBehind(b),
	} {
		if err := checkMemory(t, name, r, blockSize<<31, len(b)); err == nil {
			t.Errorf("%s: Read gives no error", name)
		}
	}
}

// zerosBehind is a file that is sparse.
type zerosBehind []byte

func (z zerosBehind) ReadAt(p []byte, offset int64) (int, error) {
	clear(p)
	if offset < int64(len(z)) {
		copy(p, z[offset:])
	}
	return len(p), nil
}

// TestReadDense: images in which the parts that become large in memory are as
// many as can be.
func TestReadDense(t *testing.T) {
	dir := func(fill func(root *tree.Node)) *tree.Node {
		root := &tree.Node{Mode: tree.TypeDir | 0o755}
		fill(root)
		root.CountLinks()
		return root
	}
	file := func() *tree.Node { return &tree.Node{Mode: tree.TypeRegular | 0o644} }
	const n = 50_000
	name := func(i int) string { return strings.ToLower(fmt.Sprintf("%x", i)) }
	for what, root := range map[string]*tree.Node{
		"one file with many names": dir(func(root *tree.Node) {
			one := file()
			for i := range n {
				root.Set(name(i), one)
			}
		}),
		"many empty files": dir(func(root *tree.Node) {
			for i := range n {
				root.Set(name(i), file())
			}
		}),
		"many empty directories": dir(func(root *tree.Node) {
			for i := range n {
				root.Set(name(i), &tree.Node{Mode: tree.TypeDir | 0o755})
			}
		}),
		"many attributes that all share": dir(func(root *tree.Node) {
			for i := range n / 25 {
				f := file()
				for k := range 120 {
					f.SetXattr(fmt.Sprintf("user.%d", k), strings.Repeat("v", 200))
				}
				root.Set(name(i), f)
			}
		}),
		"directories below each other": dir(func(root *tree.Node) {
			for range tree.MaxPath/2 - 1 {
				below := &tree.Node{Mode: tree.TypeDir | 0o755}
				root.Set("d", below)
				root = below
			}
		}),
	} {
		for _, version := range []int{V1, V2} {
			image := write(t, root, Options{Version: version})
			err := checkMemory(t, fmt.Sprintf("%s, V%d", what, version), bytes.NewReader(image), int64(len(image)), len(image))
			if err != nil {
				t.Errorf("%s, V%d: %v", what, version, err)
			}
		}
	}
}

// TestReadDamagedMemory changes bytes at random.
func TestReadDamagedMemory(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	good := write(t, parse(t, "v074.dump"), Options{Version: V1})
	var most uint64
	for range 500 {
		b := bytes.Clone(good)
		for range 1 + random.IntN(8) {
			b[firstInode+random.IntN(len(b)-firstInode)] = byte(random.IntN(256))
		}
		most = max(most, allocated(func() { Read(bytes.NewReader(b), int64(len(b))) }))
	}
	if limit := uint64(len(good))*memoryFactor + memoryBase; most > limit {
		t.Errorf("Read of %d bytes allocates up to %d: want at most %d", len(good), most, limit)
	}
}
