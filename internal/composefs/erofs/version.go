package erofs

import (
	"encoding/binary"
	"fmt"
	"io"
)

// VersionOf returns the format version of the composefs image that begins r. It
// reads no more than the head of the image.
func VersionOf(r io.ReaderAt) (int, error) {
	var head [16]byte
	if _, err := r.ReadAt(head[:], 0); err != nil && err != io.EOF {
		return 0, fmt.Errorf("cannot read image: %w", err)
	}
	le := binary.LittleEndian
	if le.Uint32(head[:]) != composefsMagic || le.Uint32(head[4:]) != composefsHeader {
		return 0, fmt.Errorf("cannot read image: it is not a composefs image")
	}
	return int(le.Uint32(head[12:])), nil
}
