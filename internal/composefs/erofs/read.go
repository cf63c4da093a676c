package erofs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
)

// Read returns the tree of which an image was made, by this package,
// mkcomposefs or composefs-rs: without what they added for overlayfs. Writing
// it again in the same version gives the same image. What a version does not
// keep is lost: nanoseconds in V2, digests of empty files.
//
// The image may be hostile. Whatever it holds, Read returns, and uses memory
// and time in proportion to size; it is an error if bytes that only one file
// can have are used twice. Read does not read what is not metadata of a file,
// and it verifies no digests.
func Read(r io.ReaderAt, size int64) (*tree.Node, error) {
	return readTree(r, size, nil)
}

func readTree(r io.ReaderAt, size int64, part Part) (*tree.Node, error) {
	rd := newReader(r, size)
	if rd.part = part; part != nil {
		rd.src.window = partWindowSize
	}
	root, err := rd.read()
	if err != nil {
		return nil, fmt.Errorf("cannot read image: %w", err)
	}
	return root, nil
}

func newReader(r io.ReaderAt, size int64) reader {
	bytes := uint64(max(size, 0))
	return reader{
		src:    source{r: r, size: bytes, window: windowSize, ahead: windowCount * bytes},
		budget: bytes,
		inodes: make(map[uint64]*known),
		shared: make(map[uint32]tree.Xattr),
		twice:  make(map[attrOf]string),
	}
}

type reader struct {
	src       source
	part      Part   // nil to read all
	budget    uint64 // bytes that may yet be used
	version   int
	buildTime tree.Time
	attrBase  uint64 // from which shared attributes are counted

	inodes map[uint64]*known
	dirs   []readDir // in the order in which they are found
	next   uint32    // number of the inode that comes next, if all is in order
	last   *known    // the one before it

	shared    map[uint32]tree.Xattr
	twice     map[attrOf]string // second values, see setAttrs
	whiteouts []*known          // that may be escaped ones
}

// known is what is remembered of an inode that was read.
type known struct {
	node   *tree.Node
	number uint32
	names  uint32
	dir    int // where it is at home, in reader.dirs
	entry  int // of dir
}

// A readDir is a directory on the way through the tree.
type readDir struct {
	node       *tree.Node
	inode      rawInode
	parent     int // in reader.dirs
	name       string
	pathLength int
	part       Part
}

func (rd *reader) read() (*tree.Node, error) {
	rootNumber, err := rd.readStart()
	if err != nil {
		return nil, err
	}
	root, err := rd.readInode(rootNumber)
	if err != nil {
		return nil, fmt.Errorf("/: %w", err)
	}
	if !root.node.IsDir() {
		return nil, errors.New("the root is not a directory")
	}
	rd.next++
	rd.dirs[0].part = rd.part
	for i := 0; i < len(rd.dirs); i++ {
		if err := rd.readDir(i); err != nil {
			return nil, fmt.Errorf("%q: %w", rd.path(i), err)
		}
	}
	rd.setHomes()
	if rd.version != V2 {
		if err := rd.removeStubs(root.node); err != nil {
			return nil, err
		}
		rd.restoreWhiteouts()
	}
	for at := range rd.twice {
		return nil, fmt.Errorf("extended attribute %q is there twice", at.name)
	}
	return root.node, nil
}

// path returns the path of a directory, for messages.
func (rd *reader) path(i int) string {
	if i == 0 {
		return "/"
	}
	return strings.TrimSuffix(rd.path(rd.dirs[i].parent), "/") + "/" + rd.dirs[i].name
}

// readStart reads the header and the superblock and returns the number of the
// root's inode.
func (rd *reader) readStart() (root uint64, err error) {
	b, err := rd.src.at(windowInodes, 0, firstInode)
	if err != nil {
		return 0, err
	}
	le := binary.LittleEndian
	if le.Uint32(b) != composefsMagic || le.Uint32(b[4:]) != composefsHeader {
		return 0, errors.New("it is not a composefs image")
	}
	version := le.Uint32(b[12:])
	if version > V2 {
		return 0, fmt.Errorf("unknown format version %d", version)
	}
	rd.version = int(version)
	sb := b[superblockOffset:]
	switch {
	case le.Uint32(sb) != erofsMagic:
		return 0, errors.New("no EROFS superblock")
	case sb[12] != blockBits:
		return 0, fmt.Errorf("blocks of 2^%d bytes: want 2^%d", sb[12], blockBits)
	case sb[13] != 0 || le.Uint32(sb[80:]) != 0 || le.Uint32(sb[40:]) != 0:
		return 0, errors.New("it uses features of EROFS that composefs images do not have")
	case uint64(le.Uint32(sb[36:]))*blockSize != rd.src.size:
		return 0, fmt.Errorf("%d blocks in %d bytes", le.Uint32(sb[36:]), rd.src.size)
	case le.Uint32(sb[32:]) > 999999999:
		return 0, errors.New("bad time in the superblock")
	}
	rd.buildTime = tree.Time{Sec: int64(le.Uint64(sb[24:])), Nsec: le.Uint32(sb[32:])}
	rd.attrBase = uint64(le.Uint32(sb[44:])) * blockSize
	return uint64(le.Uint16(sb[14:])), nil
}

// spend takes bytes from the budget. What a writer of images makes never uses a
// byte for two things, so there is always enough.
func (rd *reader) spend(n uint64) error {
	if n > rd.budget {
		return errors.New("it says that parts of the image belong to several files")
	}
	rd.budget -= n
	return nil
}

// The windows of a source: places that are read from the first to the last, at
// different times.
const (
	windowInodes = iota
	windowTails
	windowBlocks
	windowShared
	windowCount

	windowSize     = 64 << 10
	partWindowSize = blockSize // of what is read, little is next to each other
)

// A source reads ahead at a few places of an image.
type source struct {
	r       io.ReaderAt
	size    uint64
	window  uint64 // how many bytes to read at once
	ahead   uint64 // bytes that may yet be read ahead: a hostile image jumps about
	windows [windowCount]struct {
		start uint64
		data  []byte
	}
}

// at returns n bytes from offset, which are valid until the same window is used
// again. It is an error if the image ends before.
func (s *source) at(window int, offset, n uint64) ([]byte, error) {
	if n > s.size || offset > s.size-n {
		return nil, fmt.Errorf("%d bytes at %d are not within the image", n, offset)
	}
	w := &s.windows[window]
	if offset >= w.start && offset-w.start <= uint64(len(w.data)) && uint64(len(w.data))-(offset-w.start) >= n {
		return w.data[offset-w.start:][:n], nil
	}
	want := n
	if s.ahead >= s.window && n < s.window {
		want = min(s.window, s.size-offset)
		s.ahead -= want
	}
	if uint64(cap(w.data)) < want {
		w.data = make([]byte, want)
	}
	w.start, w.data = offset, w.data[:want]
	if got, err := s.r.ReadAt(w.data, int64(offset)); got < len(w.data) {
		w.data = w.data[:0]
		if err == io.EOF || err == nil {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	return w.data[:n], nil
}

// slotOffset returns where the inode with the given number is.
func (rd *reader) slotOffset(number uint64) (uint64, error) {
	if number > math.MaxInt64/slotSize || number*slotSize < firstInode || number*slotSize >= rd.src.size {
		return 0, fmt.Errorf("inode %d is not within the image", number)
	}
	return number * slotSize, nil
}
