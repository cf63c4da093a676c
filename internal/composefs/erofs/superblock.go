package erofs

import "encoding/binary"

// appendStart appends all that comes before the first inode: the header, zeros
// and the superblock.
func (img *image) appendStart(b []byte) []byte {
	var start [firstInode]byte
	le := binary.LittleEndian
	le.PutUint32(start[0:], composefsMagic)
	le.PutUint32(start[4:], composefsHeader)
	if img.hasACL && img.version != V2 {
		le.PutUint32(start[8:], composefsFlagHasACL)
	}
	le.PutUint32(start[12:], uint32(img.version))

	sb := start[superblockOffset:]
	le.PutUint32(sb[0:], erofsMagic)
	le.PutUint32(sb[8:], compatMtime|compatXattrIndex)
	sb[12] = blockBits
	le.PutUint16(sb[14:], firstInode/slotSize)
	le.PutUint64(sb[16:], uint64(len(img.inodes)))
	le.PutUint64(sb[24:], uint64(img.buildTime.Sec))
	le.PutUint32(sb[32:], img.buildTime.Nsec)
	le.PutUint32(sb[36:], uint32(img.blocks))
	if img.version != V2 {
		le.PutUint32(sb[44:], uint32(img.inodesEnd/blockSize))
	}
	return append(b, start[:]...)
}
