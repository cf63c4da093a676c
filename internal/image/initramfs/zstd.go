package initramfs

import (
	"bufio"
	"errors"
	"io"
)

// zstdMagic begins a zstd frame (RFC 8878, section 3.1.1).
const zstdMagic = "\x28\xb5\x2f\xfd"

// A frame reads the bytes of one zstd frame, and not what follows it: a decoder
// would read on, into another archive.
type frame struct {
	in       *bufio.Reader
	begun    bool
	checksum bool
	left     int // bytes until the next block's header
	last     bool
}

func (f *frame) Read(p []byte) (int, error) {
	if f.left == 0 {
		if err := f.next(); err != nil {
			return 0, err
		}
	}
	n, err := f.in.Read(p[:min(len(p), f.left)])
	f.left -= n
	return n, noEOF(err)
}

// whole returns an error unless the frame was read to its end. The decoder takes
// an end within the first bytes for one before them.
func (f *frame) whole() error {
	if !f.last || f.checksum || f.left > 0 {
		return io.ErrUnexpectedEOF
	}
	return nil
}

// next finds out how far the next part of the frame reaches.
func (f *frame) next() error {
	switch {
	case !f.begun:
		f.begun = true
		return f.header()
	case !f.last:
		return f.block()
	case f.checksum:
		f.checksum, f.left = false, 4
		return nil
	}
	return io.EOF
}

// header looks at the frame's header: section 3.1.1.1.
func (f *frame) header() error {
	head, err := f.in.Peek(len(zstdMagic) + 1)
	if err != nil {
		return noEOF(err)
	}
	descriptor := head[len(zstdMagic)]
	single := descriptor>>5&1 == 1
	f.checksum = descriptor>>2&1 == 1
	f.left = len(head) + []int{0, 1, 2, 4}[descriptor&3] + []int{0, 2, 4, 8}[descriptor>>6]
	switch {
	case !single:
		f.left++ // the window descriptor
	case descriptor>>6 == 0:
		f.left++ // then the size has a byte
	}
	return nil
}

// block looks at the next block's header: section 3.1.1.2.
func (f *frame) block() error {
	head, err := f.in.Peek(3)
	if err != nil {
		return noEOF(err)
	}
	word := int(head[0]) | int(head[1])<<8 | int(head[2])<<16
	f.last = word&1 == 1
	size := word >> 3
	switch word >> 1 & 3 {
	case 1:
		size = 1 // the byte that is repeated
	case 3:
		return errors.New("zstd: block of a reserved type")
	}
	f.left = len(head) + size
	return nil
}
