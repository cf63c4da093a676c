package erofs

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
)

// An output collects small pieces and knows how much it was given.
type output struct {
	ctx context.Context
	w   io.Writer
	buf []byte // not yet written
	pos uint64 // where buf begins in the image
	err error  // the first
}

const outputSize = 64 << 10

// flush writes what there is, if it is worth a call.
func (o *output) flush(always bool) {
	if len(o.buf) < outputSize && !always {
		return
	}
	if o.err == nil && o.ctx.Err() != nil {
		o.err = context.Cause(o.ctx)
	}
	if o.err == nil {
		_, o.err = o.w.Write(o.buf)
	}
	o.pos += uint64(len(o.buf))
	o.buf = o.buf[:0]
}

// padTo adds zeros until the image has the given length.
func (o *output) padTo(end uint64) {
	for missing := end - o.pos - uint64(len(o.buf)); missing > 0; missing-- {
		o.buf = append(o.buf, 0)
	}
}

// writeTo writes the image, from its beginning to its end.
func (img *image) writeTo(ctx context.Context, w io.Writer) error {
	o := output{ctx: ctx, w: w, buf: make([]byte, 0, outputSize+2*blockSize)}
	o.buf = img.appendStart(o.buf)
	for i := range img.inodes {
		o.padTo(uint64(img.inodes[i].slot) * slotSize)
		o.buf = img.appendInode(o.buf, i)
		if o.flush(false); o.err != nil {
			break
		}
	}
	o.padTo(img.inodesEnd)
	for _, r := range img.attrs.shared {
		o.buf = img.attrs.appendEntry(o.buf, r)
		o.flush(false)
	}
	o.padTo(img.dataStart * blockSize)
	for i := range img.inodes {
		if img.inodes[i].blocks > 0 && o.err == nil {
			img.writeBlocks(&o, i)
		}
	}
	if o.flush(true); o.err != nil {
		return fmt.Errorf("cannot write image: %w", o.err)
	}
	return nil
}

// writeBlocks writes the data blocks of inode i.
func (img *image) writeBlocks(o *output, i int) {
	n := &img.inodes[i]
	start := (img.dataStart + uint64(n.block)) * blockSize
	end := start + uint64(n.blocks)*blockSize
	switch {
	case n.layout == layoutChunk:
		o.buf = appendNullChunks(o.buf, maxChunks)
	case n.node.IsDir():
		list := img.dirents(i)
		for k := range uint64(n.blocks) {
			count, _ := firstBlock(list)
			o.buf = img.appendDirents(o.buf, list[:count])
			list = list[count:]
			o.padTo(start + (k+1)*blockSize)
			o.flush(false)
		}
	case n.node.IsSymlink():
		o.buf = append(o.buf, n.node.Target...)
	default:
		o.buf = append(o.buf, n.node.Inline[:len(n.node.Inline)-int(n.tail)]...)
	}
	o.padTo(end)
	o.flush(false)
}

// appendNullChunks appends entries of a chunk table that lead nowhere.
func appendNullChunks(b []byte, count int) []byte {
	for range count {
		b = append(b, 0xff, 0xff, 0xff, 0xff)
	}
	return b
}

// appendInode appends inode i with its attributes and its tail.
func (img *image) appendInode(b []byte, i int) []byte {
	n := &img.inodes[i]
	b = img.appendHeader(b, i)
	b = img.appendAttrs(b, n)
	if n.tail == 0 {
		return b
	}
	switch {
	case n.layout == layoutChunk:
		return appendNullChunks(b, int(n.tail/4))
	case n.node.IsDir():
		list := img.dirents(i)
		for range n.blocks {
			count, _ := firstBlock(list)
			list = list[count:]
		}
		return img.appendDirents(b, list)
	case n.node.IsSymlink():
		return append(b, n.node.Target...)
	}
	return append(b, n.node.Inline[len(n.node.Inline)-int(n.tail):]...)
}

// appendHeader appends struct erofs_inode_compact or erofs_inode_extended of
// fs/erofs/erofs_fs.h.
func (img *image) appendHeader(b []byte, i int) []byte {
	n, m := &img.inodes[i], img.inodes[i].node
	number := uint32(i)
	nsec := m.Mtime.Nsec
	if img.version == V2 {
		number, nsec = n.slot, 0
	}
	le := binary.LittleEndian
	if n.compact {
		b = le.AppendUint16(b, uint16(n.layout)<<1)
		b = le.AppendUint16(b, n.attrs)
		b = le.AppendUint16(b, n.mode)
		b = le.AppendUint16(b, uint16(n.nlink))
		b = le.AppendUint32(b, uint32(n.size))
		b = le.AppendUint32(b, 0)
		b = le.AppendUint32(b, img.dataField(n))
		b = le.AppendUint32(b, number)
		b = le.AppendUint16(b, uint16(m.UID))
		b = le.AppendUint16(b, uint16(m.GID))
		return le.AppendUint32(b, 0)
	}
	b = le.AppendUint16(b, uint16(n.layout)<<1|formatExtended)
	b = le.AppendUint16(b, n.attrs)
	b = le.AppendUint16(b, n.mode)
	b = le.AppendUint16(b, 0)
	b = le.AppendUint64(b, n.size)
	b = le.AppendUint32(b, img.dataField(n))
	b = le.AppendUint32(b, number)
	b = le.AppendUint32(b, m.UID)
	b = le.AppendUint32(b, m.GID)
	b = le.AppendUint64(b, uint64(m.Mtime.Sec))
	b = le.AppendUint32(b, nsec)
	b = le.AppendUint32(b, n.nlink)
	return append(b, make([]byte, 16)...)
}

// dataField returns the field i_u: the first data block, the device, or the
// format of the chunk table.
func (img *image) dataField(n *inode) uint32 {
	block := uint32(0)
	if n.blocks > 0 {
		block = uint32(img.dataStart + uint64(n.block))
	}
	switch {
	case n.layout == layoutChunk && img.version == V2:
		return chunkFormat2
	case n.layout == layoutChunk:
		// mkcomposefs writes the format over half of the address of a table
		// that has a block of its own. Nothing reads that.
		return block&^0xffff | uint32(chunkBitsOf(n.size)-blockBits)
	}
	switch n.fileType() {
	case tree.TypeChar, tree.TypeBlock:
		return n.node.Rdev
	}
	return block
}

// appendAttrs appends the extended attributes of n.
func (img *image) appendAttrs(b []byte, n *inode) []byte {
	refs := img.refsOf(n)
	if len(refs) == 0 {
		return b
	}
	filter := uint32(0)
	for _, r := range refs {
		filter |= img.attrs.filter(r)
	}
	b = binary.LittleEndian.AppendUint32(b, ^filter)
	b = append(b, n.shared, 0, 0, 0, 0, 0, 0, 0)
	for _, r := range refs[:n.shared] {
		b = binary.LittleEndian.AppendUint32(b, img.sharedRef(r))
	}
	for _, r := range refs[n.shared:] {
		b = img.attrs.appendEntry(b, r)
	}
	return b
}

// sharedRef returns the number of a shared attribute: its offset in words, from
// the block in which the table begins; in V2, from the beginning of the image.
func (img *image) sharedRef(r attrRef) uint32 {
	start := img.inodesEnd
	if img.version != V2 {
		start %= blockSize
	}
	return uint32((start + uint64(img.attrs.offsets[r])) / 4)
}
