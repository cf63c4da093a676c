package initramfs

import (
	"bufio"
	"errors"
	"io"

	"github.com/sysupdate-image/sysupdate-image/internal/format/zstdframe"
)

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

func (f *frame) header() error {
	head, err := f.in.Peek(zstdframe.MaxHeader)
	h, parseErr := zstdframe.ParseHeader(head)
	if errors.Is(parseErr, io.ErrUnexpectedEOF) && err != nil {
		return noEOF(err)
	}
	f.checksum, f.left = h.Checksum, int(h.Size)
	return parseErr
}

func (f *frame) block() error {
	head, err := f.in.Peek(zstdframe.BlockHeader)
	if err != nil {
		return noEOF(err)
	}
	block, err := zstdframe.ParseBlock([zstdframe.BlockHeader]byte(head))
	f.last, f.left = block.Last, int(block.Size)
	return err
}
