// Package inflate decompresses DEFLATE (RFC 1951) and gzip (RFC 1952), several times as
// fast as compress/gzip, in plain Go.
//
// It takes the same streams as compress/flate and compress/gzip, and refuses the same
// ones: with the same errors, after the same output, and having consumed the same input.
//
//	z := inflate.NewReader(file, inflate.Options{Format: inflate.Gzip})
//	for {
//		data, err := z.Next() // or z.Read, z.WriteTo
//		if err == io.EOF {
//			break
//		}
//		if err != nil {
//			return err
//		}
//		use(data)
//	}
//
// What comes before io.EOF has not been checked yet: a gzip file has its checksum at the
// end. A Reader has about 340 KiB and allocates nothing while it reads; Reset uses one again.
package inflate

import (
	"errors"
	"fmt"
	"io"
)

// A Format is how the input is wrapped.
type Format int

const (
	Deflate Format = iota // one bare DEFLATE stream
	Gzip                  // gzip members
)

// Members says which members of a gzip file are read.
type Members int

const (
	// AllMembers reads to the end of the input; what follows a member is another member, or
	// else gzip.ErrHeader, as with compress/gzip.
	AllMembers Members = iota
	// LeadingMembers ends cleanly where something follows that is no member, as gzip(1) does.
	LeadingMembers
	// OneMember ends after the first.
	OneMember
)

// Options say how a Reader reads. The zero value is for a bare DEFLATE stream.
type Options struct {
	Format  Format
	Members Members
	// Limit is how many bytes of output there may be, 0 for any number. Beyond it the
	// error is ErrLimit.
	Limit int64
}

// ErrLimit is the error of a stream with more output than Options.Limit.
var ErrLimit = errors.New("inflate: more output than the limit")

// An InternalError is a mistake in this package that was caught.
type InternalError struct{ Value any }

func (e *InternalError) Error() string { return fmt.Sprintf("inflate: internal error: %v", e.Value) }

const (
	keepIn  = 8        // bytes before the input, to which the bit buffer can be given back
	inSize  = 64 << 10 // a power of two, as outSize
	history = 32 << 10 // how far back a match may reach
	outSize = 256 << 10
	spare   = 16 // bytes more than that, for loads and stores of 16 bytes at any position
	// outLimit leaves room for what a round of the fast loop writes beyond it.
	outLimit = outSize - 320
)

// A Reader decompresses a stream. All arrays are in the struct, of a fixed size: so the
// compiler knows where they are and how long.
type Reader struct {
	// The bit buffer: the next count bits of the input, the lowest first. Those above
	// are zero outside the fast loop.
	bits  uint64
	count uint

	pos, end int // what is left of in
	out      int // what of window has been written
	low      int // where in window the history begins

	tables // what the fast loop uses
	in     [inSize + spare]byte
	// window has the history and the output.
	window [outSize + spare]byte

	least      uint // bits that are asked for before a literal or length is looked at
	leastDist  uint
	codes      *tables // of this block
	fixed      bool    // tables has the fixed codes
	fixedCodes *tables
	lazy       int  // symbols to decode without the fast loop
	final      bool // this block is the last
	left       int  // bytes left of a stored block
	header     blockHeader
	member     memberHeader

	state  state
	given  int // output before this position has been handed out
	crc    uint32
	size   uint32 // of the member's output, as its trailer has it
	summed int    // output before this position is in crc and size

	options   Options
	src       io.Reader
	reading   bool   // src is being read
	srcErr    error  // the error that comes after in
	base      int64  // offset of in[0] in the input
	dataStart int64  // offset at which the member's DEFLATE stream begins
	total     int64  // output handed out
	members   int    // headers begun
	err       error  // what comes after the output
	rest      []byte // handed out by Next to Read, but not read yet
}

// NewReader returns a Reader of src. It reads ahead: see InputOffset and Buffered.
func NewReader(src io.Reader, o Options) *Reader {
	z := new(Reader)
	z.Reset(src, o)
	return z
}

// Reset makes z as if NewReader had just returned it.
func (z *Reader) Reset(src io.Reader, o Options) {
	z.bits, z.count, z.pos, z.end = 0, 0, keepIn, keepIn
	z.out, z.low, z.given, z.summed = 0, 0, 0, 0
	z.crc, z.size, z.total, z.members = 0, 0, 0, 0
	z.src, z.srcErr, z.options = src, nil, o
	z.base, z.dataStart = -keepIn, 0
	z.err, z.rest, z.reading = nil, nil, false
	z.state = stateBlock
	z.fixedCodes = fixedTables()
	if o.Format == Gzip {
		z.beginMember()
	}
	z.header = blockHeader{}
}

// Next returns the next piece of the output, which is valid until the next call of any
// method. Output that comes before an error is returned before that error, and errors stay.
func (z *Reader) Next() ([]byte, error) {
	if len(z.rest) > 0 {
		b := z.rest
		z.rest = nil
		return b, nil
	}
	for z.given == z.out {
		if z.err != nil {
			return nil, z.err
		}
		if z.out >= outLimit {
			z.slide()
		}
		z.decode()
	}
	b := z.window[z.given:z.out]
	z.given = z.out
	return z.limited(b)
}

// limited cuts b, which is next to be handed out, at the limit.
func (z *Reader) limited(b []byte) ([]byte, error) {
	if limit := z.options.Limit; limit > 0 && int64(len(b)) > limit-z.total {
		b = b[:limit-z.total]
		z.err = ErrLimit
		if len(b) == 0 {
			return nil, z.err
		}
	}
	z.total += int64(len(b))
	return b, nil
}

// Read implements io.Reader.
func (z *Reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if len(z.rest) == 0 {
		b, err := z.Next()
		if err != nil {
			return 0, err
		}
		z.rest = b
	}
	n := copy(p, z.rest)
	z.rest = z.rest[n:]
	return n, nil
}

// WriteTo implements io.WriterTo.
func (z *Reader) WriteTo(w io.Writer) (int64, error) {
	var n int64
	for {
		b, err := z.Next()
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return n, err
		}
		k, err := w.Write(b)
		n += int64(k)
		if err == nil && k < len(b) {
			err = io.ErrShortWrite
		}
		if err != nil {
			return n, err
		}
	}
}

// InputOffset returns how many bytes of the input have been consumed: after the end of a
// stream, what follows it begins there; after an error, it is what compress/flate would
// have read by then.
func (z *Reader) InputOffset() int64 { return z.base + int64(z.pos) }

// Buffered returns what was read from the source beyond InputOffset. It is valid until
// the next call of any method.
func (z *Reader) Buffered() []byte { return z.in[z.pos:z.end] }

// slide moves the history to the front of the window. All output has been handed out.
func (z *Reader) slide() {
	z.sum()
	shift := z.out - history
	copy(z.window[:history], z.window[shift:z.out])
	z.out, z.given, z.summed = history, history, history
	z.low = max(z.low-shift, 0)
}
