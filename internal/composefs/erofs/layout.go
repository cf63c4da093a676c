package erofs

import (
	"fmt"
	"math"
	"math/bits"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
)

// layout decides where everything is.
func (img *image) layout() error {
	if img.version != V2 {
		img.buildTime = img.earliest()
	}
	img.sharedSize = img.attrs.share(img.version)
	pos, block := uint64(firstInode), uint64(0)
	for i := range img.inodes {
		n := &img.inodes[i]
		if err := img.measureAttrs(n); err != nil {
			return fmt.Errorf("cannot make an image: %w", err)
		}
		img.measureData(i)
		n.compact = img.isCompact(n)
		if img.version == V2 {
			pos = n.placeAsV2(pos)
		} else {
			pos = n.place(pos)
		}
		n.slot, n.block = uint32(pos/slotSize), uint32(block)
		pos = roundUp(pos+n.head()+uint64(n.tail), slotSize)
		block += uint64(n.blocks)
	}
	img.inodesEnd = pos
	img.dataStart = roundUp(pos+img.sharedSize, blockSize) / blockSize
	img.blocks = img.dataStart + block
	if img.blocks > math.MaxUint32 || pos/slotSize > math.MaxUint32 {
		return fmt.Errorf("cannot make an image: it would have %d blocks", img.blocks)
	}
	return nil
}

// earliest returns the earliest time of all inodes.
func (img *image) earliest() tree.Time {
	first := img.inodes[0].node.Mtime
	for i := range img.inodes[1:] {
		if t := img.inodes[i+1].node.Mtime; img.before(t, first) {
			first = t
		}
	}
	return first
}

func (img *image) before(t, u tree.Time) bool {
	if img.dialect == ComposefsRS && t.Sec != u.Sec {
		return uint64(t.Sec) < uint64(u.Sec)
	}
	return t.Compare(u) < 0
}

// maxShared is how many shared attributes an inode can have.
func (img *image) maxShared() int {
	if img.dialect == Mkcomposefs {
		return 128
	}
	return math.MaxUint8
}

// measureAttrs brings the attributes of n into the order in which they are
// written, shared ones first, and adds up their size.
func (img *image) measureAttrs(n *inode) error {
	refs := img.refsOf(n)
	if len(refs) == 0 {
		return nil
	}
	size, shared := xattrBodySize, 0
	for k, r := range refs {
		if *img.attrs.use(r) > 1 && (shared < img.maxShared() || img.dialect == ComposefsRS) {
			copy(refs[shared+1:k+1], refs[shared:k])
			refs[shared] = r
			shared++
			size += 4
		} else {
			size += img.attrs.entrySize(r)
		}
	}
	if shared > img.maxShared() || (size-xattrBodySize)/4+1 > math.MaxUint16 {
		return fmt.Errorf("a file %w: %d in %d bytes", errAttrs, len(refs), size)
	}
	n.attrs, n.shared = uint16((size-xattrBodySize)/4+1), uint8(shared)
	return nil
}

func (img *image) refsOf(n *inode) []attrRef {
	return img.refs[n.refs : n.refs+uint32(n.refCount)]
}

// head returns the bytes before the tail.
func (n *inode) head() uint64 {
	size := uint64(extendedSize)
	if n.compact {
		size = compactSize
	}
	if n.attrs > 0 {
		size += xattrBodySize + 4*uint64(n.attrs-1)
	}
	return size
}

func (img *image) isCompact(n *inode) bool {
	m := n.node
	return img.version != V2 && m.Mtime == img.buildTime &&
		n.nlink <= math.MaxUint16 && m.UID <= math.MaxUint16 && m.GID <= math.MaxUint16 && n.size <= math.MaxUint32
}

// measureData sets the layout and the size, in blocks and bytes behind the
// inode, of the data of inode i.
func (img *image) measureData(i int) {
	n := &img.inodes[i]
	switch n.fileType() {
	case tree.TypeDir:
		blocks, tail := measureDirents(img.dirents(i))
		n.blocks, n.tail = uint32(blocks), uint16(tail)
		n.size = uint64(blocks)*blockSize + uint64(tail)
		n.layout = inlineIf(tail > 0)
	case tree.TypeSymlink:
		n.size = uint64(len(n.node.Target))
		n.tail, n.layout = uint16(n.size), layoutInline
	case tree.TypeRegular:
		if n.node.IsRegular() && n.node.Size > 0 {
			img.measureFile(n)
		}
	}
}

func inlineIf(tail bool) uint8 {
	if tail {
		return layoutInline
	}
	return layoutPlain
}

func (img *image) measureFile(n *inode) {
	n.size = n.node.Size
	switch {
	case len(n.node.Inline) == 0 && img.version == V2:
		n.layout = layoutChunk
		if !n.node.Digest.IsZero() {
			n.tail = 4
		}
	case len(n.node.Inline) == 0:
		n.layout = layoutChunk
		chunkBits := chunkBitsOf(n.size)
		n.tail = uint16(4 * ((n.size-1)>>chunkBits + 1))
	case img.version == V2:
		n.layout, n.tail = layoutInline, uint16(n.size)
	default:
		n.blocks, n.tail = uint32(n.size/blockSize), uint16(n.size%blockSize)
		if n.tail > maxTail {
			n.blocks, n.tail = n.blocks+1, 0
		}
		n.layout = inlineIf(n.tail > 0)
	}
}

// chunkBitsOf returns the binary logarithm of the size of the chunks of a file:
// one chunk, if that can be.
func chunkBitsOf(size uint64) int {
	return max(blockBits, min(maxChunkBits, bits.Len64(size-1)))
}

// place returns where n, which is to begin at pos or later, begins: a tail is
// within one block. If there is no such place, the tail becomes a data block.
func (n *inode) place(pos uint64) uint64 {
	if n.node.IsSymlink() {
		return n.placeSymlink(pos)
	}
	tail := uint64(n.tail)
	rest := blockSize - (pos+n.head())%blockSize
	if rest >= tail {
		return pos
	}
	extra := roundUp(rest, slotSize)
	if tail <= blockSize-(pos+n.head()+extra)%blockSize {
		return pos + extra
	}
	n.blocks, n.tail = n.blocks+1, 0
	return roundUp(pos, blockSize)
}

// placeSymlink is place for symbolic links, which are in one block as a whole.
func (n *inode) placeSymlink(pos uint64) uint64 {
	total := n.head() + uint64(n.tail)
	if total >= blockSize {
		n.blocks, n.tail, n.layout = 1, 0, layoutPlain
	}
	if pos/blockSize != (pos+total-1)/blockSize {
		return roundUp(pos, blockSize) // of the length as it was
	}
	return pos
}

// placeAsV2 is place for V2.
func (n *inode) placeAsV2(pos uint64) uint64 {
	if n.layout != layoutInline {
		return pos
	}
	last := pos + n.head() - 1
	if last/blockSize == (last+1+n.size%blockSize)/blockSize {
		return pos
	}
	return roundUp(pos+blockSize-last%blockSize, slotSize)
}
