package inflate

// What is expected next.
type state int

const (
	stateBlock   state = iota // a block's header
	stateCounts               // a dynamic block's: how many codes there are
	stateLengths              // the code of their lengths
	stateCodes                // their lengths
	stateStored               // a stored block's size
	stateCopy                 // what is stored
	stateSymbols              // codes
	stateMember               // a gzip member's header
	stateTrailer              // a gzip member's trailer
)

// A blockHeader is the header of a dynamic block of which a part has been read: input
// may come byte by byte.
type blockHeader struct {
	numLit, numDist, numLengths int
	got                         int // lengths so far, of the current state
	lengths                     [19]uint8
	codes                       [numLit + numDist]uint8
	table                       [1 << lengthWidth]entry
	least                       uint
}

// lengthOrder is the order in which the lengths of the code of lengths come (RFC 1951, 3.2.7).
var lengthOrder = [19]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}

// decode decodes until the window is full, an error is found, or more input is wanted
// while there is output: a slow source does not keep what has been decoded from the caller.
// A panic of this package becomes an error.
func (z *Reader) decode() {
	defer func() {
		if z.reading {
			return // a panic of the source
		}
		if v := recover(); v != nil {
			z.out = max(min(z.out, outSize), z.given)
			z.err, z.fixed = &InternalError{v}, false
		}
	}()
	for z.err == nil && z.out < outLimit {
		if !z.step() {
			continue
		}
		if z.out > z.given {
			break
		}
		z.fill()
	}
	z.sum()
}

// step handles what is expected next as far as it can. It reports whether it wants more input.
func (z *Reader) step() bool {
	switch z.state {
	case stateBlock:
		return z.readBlock()
	case stateCounts:
		return z.readCounts()
	case stateLengths:
		return z.readLengths()
	case stateCodes:
		return z.readCodes()
	case stateStored:
		return z.readStored()
	case stateCopy:
		return z.copyStored()
	case stateSymbols:
		return z.readSymbols()
	case stateMember:
		return z.readMember()
	}
	return z.readTrailer()
}

// readBlock reads the first three bits of a block.
func (z *Reader) readBlock() bool {
	if !z.need(3) {
		return true
	}
	z.final = z.take(1) == 1
	switch z.take(2) {
	case 0:
		z.bits, z.count = 0, 0 // up to the next byte
		z.state = stateStored
		z.header.got, z.left = 0, 0
	case 1:
		z.useFixed()
		z.state = stateSymbols
		return z.readSymbols()
	case 2:
		z.state = stateCounts
	default:
		z.err = z.corrupt()
	}
	return false
}

// readCounts reads how many codes a dynamic block has.
func (z *Reader) readCounts() bool {
	if !z.need(14) {
		return true
	}
	h := &z.header
	h.numLit, h.numDist, h.numLengths = int(z.take(5))+257, int(z.take(5))+1, int(z.take(4))+4
	if h.numLit > numLit || h.numDist > numDist {
		z.err = z.corrupt()
		return false
	}
	h.got, h.lengths = 0, [19]uint8{}
	z.state = stateLengths
	return false
}

// readLengths reads the code in which the lengths of the codes are written.
func (z *Reader) readLengths() bool {
	h := &z.header
	for ; h.got < h.numLengths; h.got++ {
		if !z.need(3) {
			return true
		}
		h.lengths[lengthOrder[h.got]] = uint8(z.take(3))
	}
	var ok bool
	if h.least, ok = build(h.table[:], lengthWidth, h.lengths[:], lengthEntries[:]); !ok {
		z.err = z.corrupt()
		return false
	}
	h.got = 0
	z.state = stateCodes
	return false
}

// repeats says of the symbols 16, 17 and 18 how often at least they repeat a length, and
// how many bits tell how much more often.
var repeats = [3]struct{ least, extra uint }{{3, 2}, {3, 3}, {11, 7}}

// readCodes reads the lengths of a dynamic block's codes.
func (z *Reader) readCodes() bool {
	h := &z.header
	for n := h.numLit + h.numDist; h.got < n; {
		e, ok := z.code(h.table[:], lengthWidth, h.least, 0)
		if !ok {
			return true
		}
		symbol := uint8(e >> 16)
		if e&entryException != 0 || symbol == 16 && h.got == 0 {
			z.err = z.corrupt()
			return false
		}
		if symbol < 16 {
			z.take(consumed(e))
			h.codes[h.got] = symbol
			h.got++
			continue
		}
		r := repeats[symbol-16]
		if !z.need(consumed(e) + r.extra) {
			return true
		}
		z.take(consumed(e))
		times := int(r.least + z.take(r.extra))
		if times > n-h.got {
			z.err = z.corrupt()
			return false
		}
		z.repeat(symbol, times)
	}
	return z.useDynamic()
}

// repeat writes the last length, or 0, some times more.
func (z *Reader) repeat(symbol uint8, times int) {
	h, length := &z.header, uint8(0)
	if symbol == 16 {
		length = h.codes[h.got-1]
	}
	for range times {
		h.codes[h.got] = length
		h.got++
	}
}

// useDynamic puts the tables of a dynamic block in place.
func (z *Reader) useDynamic() bool {
	h := &z.header
	z.fixed, z.codes, z.lazy = false, &z.tables, 0
	lit, dist := h.codes[:h.numLit], h.codes[h.numLit:h.numLit+h.numDist]
	var ok, okDist bool
	z.least, ok = build(z.lit[:], litWidth, lit, litEntries[:])
	z.leastDist, okDist = build(z.dist[:], distWidth, dist, distEntries[:])
	if !ok || !okDist {
		z.err = z.corrupt()
		return false
	}
	// Each block ends with this code, so no block has fewer bits left: compress/flate
	// asks for as many at once, which is seen where a stream is truncated.
	z.least = max(z.least, uint(lit[endOfBlock]))
	z.state = stateSymbols
	return false
}

// readStored reads the size of a stored block and its complement.
func (z *Reader) readStored() bool {
	if !z.need(32) {
		return true
	}
	n, complement := z.take(16), z.take(16)
	if n != complement^0xffff {
		z.err = z.corrupt()
		return false
	}
	z.left = int(n)
	z.state = stateCopy
	return false
}

// copyStored copies what is stored.
func (z *Reader) copyStored() bool {
	n := copy(z.window[z.out:outLimit], z.in[z.pos:min(z.end, z.pos+z.left)])
	z.out += n
	z.pos += n
	z.left -= n
	if z.left == 0 {
		z.endBlock()
		return false
	}
	return z.pos == z.end
}

func (z *Reader) endBlock() {
	z.state = stateBlock
	if z.final {
		z.endStream()
	}
}
