package initramfs

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// The header of an entry in a cpio archive of the new format, with or without a
// checksum: a magic number and thirteen numbers of eight hexadecimal digits.
const (
	headerSize = 6 + 13*8
	trailer    = "TRAILER!!!" // the name of the last entry
	maxName    = 4096         // PATH_MAX
)

type header struct {
	mode, size int64
	name       string
}

func (h header) isRegular() bool { return h.mode&0o170000 == 0o100000 }

// isArchive reports whether a cpio archive begins like this.
func isArchive(head []byte) bool {
	return bytes.HasPrefix(head, []byte("070701")) || bytes.HasPrefix(head, []byte("070702"))
}

// isBegun reports whether all that is left could be the beginning of a cpio archive.
func isBegun(head []byte) bool { return len(head) < headSize && bytes.HasPrefix([]byte("07070"), head) }

// A TruncatedError reports that an archive that is not compressed ends before its
// trailer: a kernel would unpack only a part of the files.
type TruncatedError struct{ Err error }

func (e *TruncatedError) Error() string { return "it is truncated: " + e.Err.Error() }

func (e *TruncatedError) Unwrap() error { return e.Err }

// truncated makes a TruncatedError of the error of an archive that is not compressed, if it
// is one.
func truncated(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return &TruncatedError{err}
	}
	return err
}

// readHeader reads the header of the next entry and its name.
func readHeader(in *bufio.Reader) (header, error) {
	var raw [headerSize]byte
	if _, err := io.ReadFull(in, raw[:]); err != nil {
		return header{}, noEOF(err)
	}
	if !isArchive(raw[:]) {
		return header{}, errors.New("an entry of the archive has no header")
	}
	mode, err := number(raw[:], 1)
	size, errSize := number(raw[:], 6)
	length, errLength := number(raw[:], 11)
	if err := errors.Join(err, errSize, errLength); err != nil {
		return header{}, err
	}
	if length < 1 || length > maxName {
		return header{}, fmt.Errorf("an entry of the archive has a name of %d bytes", length)
	}
	// Name and header together are padded.
	name := make([]byte, padded(headerSize+length)-headerSize)
	if _, err := io.ReadFull(in, name); err != nil {
		return header{}, noEOF(err)
	}
	text, _, _ := strings.Cut(string(name[:length]), "\x00")
	return header{mode, size, text}, nil
}

// number returns one of the header's numbers.
func number(raw []byte, i int) (int64, error) {
	n, err := strconv.ParseUint(string(raw[6+8*i:6+8*i+8]), 16, 32)
	if err != nil {
		return 0, fmt.Errorf("an entry of the archive has the number %q", raw[6+8*i:6+8*i+8])
	}
	return int64(n), nil
}

// padded returns n rounded up to what entries are aligned to.
func padded(n int64) int64 { return (n + 3) &^ 3 }

func skip(in *bufio.Reader, n int64) error {
	_, err := io.CopyN(io.Discard, in, n)
	return noEOF(err)
}

// noEOF says that the end came too early.
func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
