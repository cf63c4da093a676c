package xz

import "encoding/binary"

const (
	topValue  = 1 << 24
	probBits  = 11
	probInit  = 1 << probBits / 2
	moveBits  = 5
	maxPacked = 1 << 16 // bytes of a compressed chunk
	// slack is more than a symbol can take, so that only whole symbols need to be checked
	// against the end.
	slack = 64
)

// A prob is the probability of a bit that is 0, in 1/2048.
type prob = uint16

// A rangeCoder decodes bits. Its functions keep its numbers in variables of their own while
// they decode several bits, which is what makes them fast.
type rangeCoder struct {
	width, code uint32
	pos, end    int
	in          [maxPacked + slack]byte
}

// start begins with a chunk.
func (r *rangeCoder) start(packed []byte) bool {
	if len(packed) < 5 || packed[0] != 0 {
		return false
	}
	r.width, r.code = 1<<32-1, binary.BigEndian.Uint32(packed[1:])
	r.pos, r.end = 5, copy(r.in[:], packed)
	clear(r.in[r.end:min(r.end+slack, len(r.in))])
	return true
}

// ended reports whether a chunk was read to its end, as all are.
func (r *rangeCoder) ended() bool {
	if r.width < topValue {
		r.width <<= 8
		r.code = r.code<<8 | uint32(r.in[r.pos])
		r.pos++
	}
	return r.pos == r.end && r.code == 0
}

// bit decodes a bit.
func (r *rangeCoder) bit(p *prob) uint32 {
	width, code := r.width, r.code
	if width < topValue {
		width <<= 8
		code = code<<8 | uint32(r.in[r.pos])
		r.pos++
	}
	bound := (width >> probBits) * uint32(*p)
	if code < bound {
		r.width, r.code = bound, code
		*p += (1<<probBits - *p) >> moveBits
		return 0
	}
	r.width, r.code = width-bound, code-bound
	*p -= *p >> moveBits
	return 1
}

// tree decodes a number of some bits, the highest first. probs has one for each prefix of
// it.
func (r *rangeCoder) tree(probs []prob, bits int) uint32 {
	width, code, pos := r.width, r.code, r.pos
	m := uint32(1)
	for range bits {
		if width < topValue {
			width <<= 8
			code = code<<8 | uint32(r.in[pos])
			pos++
		}
		p := uint32(probs[m])
		bound := (width >> probBits) * p
		if code < bound {
			width = bound
			probs[m] = prob(p + (1<<probBits-p)>>moveBits)
			m <<= 1
		} else {
			width -= bound
			code -= bound
			probs[m] = prob(p - p>>moveBits)
			m = m<<1 | 1
		}
	}
	r.width, r.code, r.pos = width, code, pos
	return m - 1<<bits
}

// reverse is tree with the lowest bit first.
func (r *rangeCoder) reverse(probs []prob, bits int) uint32 {
	m, n := uint32(1), uint32(0)
	for i := range bits {
		bit := r.bit(&probs[m])
		m = m<<1 | bit
		n |= bit << i
	}
	return n
}

// direct decodes bits that are 0 as often as 1.
func (r *rangeCoder) direct(bits int) uint32 {
	width, code, pos := r.width, r.code, r.pos
	n := uint32(0)
	for range bits {
		if width < topValue {
			width <<= 8
			code = code<<8 | uint32(r.in[pos])
			pos++
		}
		width >>= 1
		less := uint32(int32(code-width) >> 31) // all ones if code < width
		code -= width &^ less
		n = n<<1 + less + 1
	}
	r.width, r.code, r.pos = width, code, pos
	return n
}

// matched decodes a byte that follows a match: probs depend on the byte that would have
// continued it, up to the first bit that differs.
func (r *rangeCoder) matched(probs []prob, like byte) byte {
	offset, bits := uint32(0x100), uint32(like)
	m := uint32(1)
	for m < 0x100 {
		bits <<= 1
		same := bits & offset
		if r.bit(&probs[offset+same+m]) == 0 {
			m <<= 1
			offset &^= same
		} else {
			m = m<<1 | 1
			offset = same
		}
	}
	return byte(m)
}
