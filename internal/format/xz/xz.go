// Package xz decompresses .xz files that are in memory, such as kernel modules. Their
// blocks can be decompressed at the same time, and each is several times as fast as with
// a decoder that reads a stream. See "The .xz File Format", version 1.2.1.
//
// Of the filters it has LZMA2 only, and a file is one stream: so the kernel's build and
// distributions compress modules.
package xz

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"hash/crc64"
	"math"

	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
)

// Errors about what a file has that is damaged or not known here.
var (
	ErrCorrupt     = errors.New("xz data is damaged")
	ErrUnsupported = errors.New("unsupported kind of xz data")
)

const (
	magic       = "\xfd7zXZ\x00"
	footerMagic = "YZ"
	headSize    = 12 // of the header of a stream, and of its footer
)

// A File is a compressed file.
type File struct {
	blocks []block
	size   int
	check  byte
}

// A block is a part of the file that can be decompressed without the others.
type block struct {
	data   []byte // header, compressed data, padding and check
	padded int    // how many bytes of that are padding
	at     int    // where its content begins in that of the file
	size   int    // of its content
}

// Parse reads the index of a file. Content that exceeds the limit most is an error.
func Parse(data []byte, most limits.Limit) (*File, error) {
	if len(data) < 2*headSize || len(data)%4 != 0 || string(data[:len(magic)]) != magic {
		return nil, fmt.Errorf("%w: no header", ErrCorrupt)
	}
	head, foot := data[:headSize], data[len(data)-headSize:]
	flags := head[6:8]
	switch {
	case string(foot[10:]) != footerMagic || !bytes.Equal(foot[8:10], flags):
		return nil, fmt.Errorf("%w: no footer", ErrCorrupt)
	case !sum32(head[6:8], head[8:]) || !sum32(foot[4:10], foot[:4]):
		return nil, fmt.Errorf("%w: checksum of the header", ErrCorrupt)
	case flags[0] != 0 || flags[1] >= byte(len(checkSizes)) || checkSizes[flags[1]] < 0:
		return nil, fmt.Errorf("%w: check %#x", ErrUnsupported, flags)
	}
	rest := data[headSize : len(data)-headSize]
	indexSize := (int64(binary.LittleEndian.Uint32(foot[4:])) + 1) * 4
	if indexSize > int64(len(rest)) {
		return nil, fmt.Errorf("%w: size of the index", ErrCorrupt)
	}
	f := &File{check: flags[1]}
	cut := len(rest) - int(indexSize)
	return f, f.index(rest[cut:], rest[:cut], most)
}

// index reads the sizes of the blocks, which are one after the other.
func (f *File) index(index, blocks []byte, most limits.Limit) error {
	sum := len(index) - 4
	if sum < 2 || index[0] != 0 || !sum32(index[:sum], index[sum:]) {
		return fmt.Errorf("%w: checksum of the index", ErrCorrupt)
	}
	in := fields{index[1:sum]}
	total := int64(0)
	for range in.number() {
		packed, size := in.number(), in.number()
		padded := (packed + 3) &^ 3
		if in.rest == nil || packed == 0 || padded > int64(len(blocks)) {
			return fmt.Errorf("%w: index", ErrCorrupt)
		}
		if err := most.Check(max(size, total+size)); err != nil {
			return err
		}
		f.blocks = append(f.blocks, block{blocks[:padded], int(padded - packed), int(total), int(size)})
		blocks = blocks[padded:]
		total += size
	}
	if len(blocks) > 0 || in.rest == nil || len(in.rest) > 3 || !zero(in.rest) {
		return fmt.Errorf("%w: index", ErrCorrupt)
	}
	f.size = int(total)
	return nil
}

// Size returns the size of the content in bytes.
func (f *File) Size() int { return f.size }

// Blocks returns how many blocks the file has.
func (f *File) Blocks() int { return len(f.blocks) }

// Decode decompresses a block into its part of content, which is that of the whole file
// and has its size. Several blocks may be decompressed at the same time.
func (f *File) Decode(n int, content []byte) error {
	b := f.blocks[n]
	packed, err := b.packed(checkSizes[f.check])
	if err != nil {
		return err
	}
	out := content[b.at : b.at+b.size]
	if err := decode(packed, out); err != nil {
		return err
	}
	return verify(f.check, out, b.data[len(b.data)-checkSizes[f.check]:])
}

// packed returns the compressed data of a block, between its header and its check.
func (b block) packed(checkSize int) ([]byte, error) {
	size, end := (int(b.data[0])+1)*4, len(b.data)-checkSize-b.padded
	if size < 8 || size > end || !sum32(b.data[:size-4], b.data[size-4:size]) {
		return nil, fmt.Errorf("%w: checksum of a block's header", ErrCorrupt)
	}
	if !zero(b.data[end : end+b.padded]) {
		return nil, fmt.Errorf("%w: padding", ErrCorrupt)
	}
	flags, in := b.data[1], fields{b.data[2 : size-4]}
	packed := b.data[size:end]
	if flags&0x40 != 0 && in.number() != int64(len(packed)) || flags&0x80 != 0 && in.number() != int64(b.size) {
		return nil, fmt.Errorf("%w: sizes of a block", ErrCorrupt)
	}
	// One filter, LZMA2 (0x21), with one byte of properties: the size of its dictionary,
	// which is not needed where all of the content is at hand.
	if flags&0x3f != 0 || in.number() != 0x21 || in.number() != 1 || in.rest == nil {
		return nil, fmt.Errorf("%w: a filter other than LZMA2", ErrUnsupported)
	}
	return packed, nil
}

// fields reads the numbers of a header. After its end, rest is nil and all are 0.
type fields struct{ rest []byte }

func (f *fields) number() int64 {
	n, size := binary.Uvarint(f.rest)
	if size <= 0 || size > 9 || n > math.MaxInt64/2 {
		f.rest = nil
		return 0
	}
	f.rest = f.rest[size:]
	return int64(n)
}

// checkSizes are those of the checks that are known here, by their numbers: none, CRC32,
// CRC64, and SHA-256, which is not verified. No other is in use.
var checkSizes = []int{0, 4, -1, -1, 8, -1, -1, -1, -1, -1, 32}

var ecma = crc64.MakeTable(crc64.ECMA)

// verify compares content with its check.
func verify(check byte, content, sum []byte) error {
	ok := true
	switch check {
	case 1:
		ok = sum32(content, sum)
	case 4:
		ok = crc64.Checksum(content, ecma) == binary.LittleEndian.Uint64(sum)
	}
	if !ok {
		return fmt.Errorf("%w: checksum", ErrCorrupt)
	}
	return nil
}

// sum32 reports whether data has a checksum.
func sum32(data, sum []byte) bool {
	return crc32.ChecksumIEEE(data) == binary.LittleEndian.Uint32(sum)
}

func zero(data []byte) bool { return len(bytes.TrimLeft(data, "\x00")) == 0 }
