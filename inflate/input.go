package inflate

import (
	"errors"
	"io"
)

// emptyReads is how often a source may return neither bytes nor an error.
const emptyReads = 100

var errCount = errors.New("inflate: the source returned an impossible number of bytes")

// fill reads more input, or sets the error if there is none.
func (z *Reader) fill() {
	if z.srcErr != nil {
		z.ended()
		return
	}
	keep := min(z.pos, keepIn)
	begin := z.pos - keep
	copy(z.in[:], z.in[begin:z.end])
	z.base += int64(begin)
	z.pos, z.end = keep, z.end-begin
	for range emptyReads {
		z.reading = true
		n, err := z.src.Read(z.in[z.end:inSize])
		z.reading = false
		if n < 0 || n > inSize-z.end {
			n, err = 0, errCount
		}
		z.end += n
		z.srcErr = err
		if n > 0 {
			return
		}
		if err != nil {
			z.ended()
			return
		}
	}
	z.err = io.ErrNoProgress
}

// ended sets the error of a stream that wants more input than there is.
func (z *Reader) ended() {
	z.err = noEOF(z.srcErr)
	if z.betweenMembers() && z.srcErr == io.EOF {
		z.err = io.EOF
	}
}

func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// need has the bit buffer hold n bits or more, at most 56. It takes no more bytes than that
// takes, and reports false if there are not as many.
func (z *Reader) need(n uint) bool {
	for z.count < n {
		if z.pos == z.end {
			return false
		}
		z.bits |= uint64(z.in[z.pos]) << (z.count & 63)
		z.pos++
		z.count += 8
	}
	return true
}

// take returns the next n bits, which the bit buffer has.
func (z *Reader) take(n uint) uint {
	v := uint(z.bits) & (1<<n - 1)
	z.bits >>= n & 63
	z.count -= n
	return v
}
