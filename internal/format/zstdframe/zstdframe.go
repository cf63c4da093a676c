// Package zstdframe reads the headers of zstd frames and of the blocks in them, which
// say how long each part is, and leaves the rest to a decoder. See RFC 8878, section 3.1.
package zstdframe

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Magic begins a frame.
const Magic = "\x28\xb5\x2f\xfd"

// Sizes of headers, in bytes.
const (
	MaxHeader   = 18 // magic, descriptor, window descriptor, dictionary id of 4, content size of 8
	BlockHeader = 3
)

// ErrFormat says that something is not a zstd frame.
var ErrFormat = errors.New("not a zstd frame")

// A Header says how a frame, or a skippable frame, goes on.
type Header struct {
	Size      int64  // of the header, and of the content of a skippable frame
	Window    uint64 // how far back the content refers, in bytes: what a decoder has to keep
	Checksum  bool   // four more bytes follow the last block
	Skippable bool   // there are no blocks
}

// ParseHeader reads the header at the beginning of b. The error is io.ErrUnexpectedEOF
// if b ends before the header does, which MaxHeader bytes never do, or ErrFormat.
func ParseHeader(b []byte) (Header, error) {
	const skippable, sizeOfSkippable = 0x184D2A50, 8
	if len(b) < len(Magic)+1 {
		return Header{}, io.ErrUnexpectedEOF
	}
	if binary.LittleEndian.Uint32(b)&^0xf == skippable {
		if len(b) < sizeOfSkippable {
			return Header{}, io.ErrUnexpectedEOF
		}
		return Header{Size: sizeOfSkippable + int64(binary.LittleEndian.Uint32(b[4:])), Skippable: true}, nil
	}
	if string(b[:len(Magic)]) != Magic {
		return Header{}, fmt.Errorf("%w: it begins with %q", ErrFormat, b[:len(Magic)])
	}
	return parseDescriptor(b[len(Magic)], b[len(Magic)+1:])
}

// parseDescriptor reads the descriptor and what it says that follows: section 3.1.1.1.
func parseDescriptor(descriptor byte, rest []byte) (Header, error) {
	single := descriptor>>5&1 == 1 // segment: the window is as large as the content
	window, dictionary, content := 1, []int{0, 1, 2, 4}[descriptor&3], []int{0, 2, 4, 8}[descriptor>>6]
	if single {
		window = 0
		if content == 0 {
			content = 1
		}
	}
	size := window + dictionary + content
	if len(rest) < size {
		return Header{}, io.ErrUnexpectedEOF
	}
	h := Header{Size: int64(len(Magic) + 1 + size), Checksum: descriptor>>2&1 == 1}
	if single {
		h.Window = contentSize(rest[dictionary:size])
		return h, nil
	}
	exponent, mantissa := rest[0]>>3, rest[0]&7
	base := uint64(1) << (10 + exponent)
	h.Window = base + base/8*uint64(mantissa)
	return h, nil
}

// contentSize reads a number of 1, 2, 4 or 8 bytes.
func contentSize(b []byte) uint64 {
	switch len(b) {
	case 1:
		return uint64(b[0])
	case 2:
		return uint64(binary.LittleEndian.Uint16(b)) + 256
	case 4:
		return uint64(binary.LittleEndian.Uint32(b))
	}
	return binary.LittleEndian.Uint64(b)
}

// A Block is a part of a frame.
type Block struct {
	Size int64 // with its header
	Last bool  // of the frame
}

// ParseBlock reads the header of a block: section 3.1.1.2. The error is ErrFormat for a
// block of the reserved type.
func ParseBlock(b [BlockHeader]byte) (Block, error) {
	const repeated, reserved = 1, 3
	word := int64(b[0]) | int64(b[1])<<8 | int64(b[2])<<16
	block := Block{Size: BlockHeader + word>>3, Last: word&1 == 1}
	switch word >> 1 & 3 {
	case repeated:
		block.Size = BlockHeader + 1
	case reserved:
		return Block{}, fmt.Errorf("%w: block of a reserved type", ErrFormat)
	}
	return block, nil
}
