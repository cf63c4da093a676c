package erofs

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
)

// A rawInode is what an inode says of itself.
type rawInode struct {
	number     uint64 // nid
	layout     uint8
	mode       uint32
	nlink      uint32
	size       uint64
	dataField  uint32
	ino        uint32
	uid, gid   uint32
	mtime      tree.Time
	attrs      uint64 // where the extended attributes are
	attrsSize  uint64
	tailOffset uint64
}

// readInode reads the inode with the given number, once.
func (rd *reader) readInode(number uint64) (*known, error) {
	if k := rd.inodes[number]; k != nil {
		if k.node.IsDir() {
			return nil, errors.New("the directory has a second name")
		}
		return k, nil
	}
	raw, err := rd.readHeader(windowInodes, number)
	if err != nil {
		return nil, err
	}
	n := &tree.Node{Mode: raw.mode, Nlink: raw.nlink, UID: raw.uid, GID: raw.gid, Mtime: raw.mtime}
	k := &known{node: n, number: raw.ino}
	content, err := rd.readAttrs(n, &raw)
	if err != nil {
		return nil, err
	}
	if err := rd.readData(n, &raw, content); err != nil {
		return nil, err
	}
	if err := n.Check(); err != nil {
		return nil, err
	}
	if n.IsDir() {
		rd.dirs = append(rd.dirs, readDir{node: n, inode: raw})
	}
	if rd.isEscapedWhiteout(n) {
		rd.whiteouts = append(rd.whiteouts, k)
	}
	rd.inodes[number] = k
	return k, nil
}

// readHeader reads struct erofs_inode_compact or erofs_inode_extended, through a
// window of the source.
func (rd *reader) readHeader(window int, number uint64) (rawInode, error) {
	raw := rawInode{number: number}
	offset, err := rd.slotOffset(number)
	if err != nil {
		return raw, err
	}
	b, err := rd.src.at(window, offset, compactSize)
	if err != nil {
		return raw, err
	}
	le := binary.LittleEndian
	format := le.Uint16(b)
	raw.layout = uint8(format >> 1)
	if format>>1 > layoutChunk || raw.layout%2 != 0 {
		return raw, fmt.Errorf("inode %d has the unknown format %#x", number, format)
	}
	if count := le.Uint16(b[2:]); count > 0 {
		raw.attrsSize = xattrBodySize + 4*uint64(count-1)
	}
	raw.mode, raw.dataField, raw.ino = uint32(le.Uint16(b[4:])), le.Uint32(b[16:]), le.Uint32(b[20:])
	if format&formatExtended == 0 {
		raw.nlink, raw.size = uint32(le.Uint16(b[6:])), uint64(le.Uint32(b[8:]))
		raw.uid, raw.gid = uint32(le.Uint16(b[24:])), uint32(le.Uint16(b[26:]))
		raw.mtime = rd.buildTime
		raw.attrs = offset + compactSize
	} else {
		if b, err = rd.src.at(window, offset, extendedSize); err != nil {
			return raw, err
		}
		raw.size = le.Uint64(b[8:])
		raw.uid, raw.gid = le.Uint32(b[24:]), le.Uint32(b[28:])
		raw.mtime = tree.Time{Sec: int64(le.Uint64(b[32:])), Nsec: le.Uint32(b[40:])}
		raw.nlink = le.Uint32(b[44:])
		raw.attrs = offset + extendedSize
	}
	raw.tailOffset = raw.attrs + raw.attrsSize
	return raw, nil
}

// readData fills in what n has besides metadata; the entries of a directory
// come later. content says how overlayfs finds the content of a regular file.
func (rd *reader) readData(n *tree.Node, raw *rawInode, content overlayContent) error {
	if content.metacopy != (n.IsRegular() && raw.layout == layoutChunk) {
		return errors.New("only a file whose content is an object, and every such file, has a metacopy attribute")
	}
	switch n.Type() {
	case tree.TypeDir:
		if raw.layout == layoutChunk {
			return errors.New("a directory with chunks")
		}
		return nil
	case tree.TypeSymlink:
		if raw.size > tree.MaxTarget {
			return fmt.Errorf("symbolic link to %d bytes", raw.size)
		}
		target, err := rd.readFlat(raw)
		n.Target = string(target)
		return err
	case tree.TypeRegular:
		return rd.readFile(n, raw, content)
	}
	if raw.size != 0 || raw.layout != layoutPlain {
		return fmt.Errorf("a file of mode %o with content", raw.mode)
	}
	if n.IsDevice() {
		n.Rdev = raw.dataField
	}
	return nil
}

func (rd *reader) readFile(n *tree.Node, raw *rawInode, content overlayContent) error {
	n.Size = raw.size
	if raw.layout == layoutChunk {
		n.Digest, n.NoPayload = content.digest, content.noPayload
		n.SetPayload(content.payload)
		return rd.checkChunks(raw)
	}
	if n.Size > tree.MaxInline {
		return fmt.Errorf("%d bytes of content in the image: want at most %d", n.Size, tree.MaxInline)
	}
	data, err := rd.readFlat(raw)
	if len(data) > 0 {
		n.Inline = append([]byte(nil), data...)
	}
	return err
}

// readFlat returns the content of a small file or link. It is valid until the
// next call.
func (rd *reader) readFlat(raw *rawInode) ([]byte, error) {
	if err := rd.spend(raw.size); err != nil {
		return nil, err
	}
	switch {
	case raw.layout == layoutChunk:
		return nil, errors.New("a symbolic link with chunks")
	case raw.size == 0:
		return nil, nil
	case raw.layout == layoutPlain:
		return rd.src.at(windowBlocks, uint64(raw.dataField)*blockSize, raw.size)
	case rd.version == V2:
		// All is behind the inode, even more than a block. EROFS cannot read
		// that, but composefs-rs wrote it.
		return rd.src.at(windowInodes, raw.tailOffset, raw.size)
	}
	tail, err := rd.tail(windowInodes, raw)
	if err != nil || raw.size < blockSize {
		return tail, err
	}
	blocks, err := rd.src.at(windowBlocks, uint64(raw.dataField)*blockSize, raw.size-raw.size%blockSize)
	if err != nil {
		return nil, err
	}
	return append(append([]byte(nil), blocks...), tail...), nil
}

// tail returns what is behind an inode after its last whole block.
func (rd *reader) tail(window int, raw *rawInode) ([]byte, error) {
	size := raw.size % blockSize
	if raw.tailOffset%blockSize+size > blockSize {
		return nil, errors.New("content behind the inode goes beyond its block")
	}
	return rd.src.at(window, raw.tailOffset, size)
}

// checkChunks checks that a file has no content in the image.
func (rd *reader) checkChunks(raw *rawInode) error {
	if raw.size == 0 || raw.size > maxChunks<<maxChunkBits {
		return fmt.Errorf("file of %d bytes with chunks", raw.size)
	}
	if rd.version == V2 {
		return nil // with chunks of any size: there is only a hole
	}
	bits := chunkBitsOf(raw.size)
	if uint32(bits-blockBits) != raw.dataField&0xffff {
		return fmt.Errorf("file of %d bytes with chunk format %#x", raw.size, raw.dataField)
	}
	size := 4 * ((raw.size-1)>>bits + 1)
	if raw.tailOffset%blockSize+size > blockSize {
		return nil // the table has a block of its own, where EROFS does not look
	}
	if err := rd.spend(size); err != nil {
		return err
	}
	table, err := rd.src.at(windowInodes, raw.tailOffset, size)
	if err != nil {
		return err
	}
	for _, b := range table {
		if b != 0xff {
			return errors.New("a file has chunks in the image")
		}
	}
	return nil
}
