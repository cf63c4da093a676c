package inflate

import "encoding/binary"

// fastInput is how much input a round of the fast loop may look at.
const fastInput = 16

// Positions are masked where the compiler does not see that they are in range: that takes
// less than the check that it would add.
const (
	inMask     = inSize - 1
	windowMask = outSize - 1
)

// fast decodes literals and matches while there is room and input enough for a round
// without any check. It leaves to others, as if it had not seen it, what is an error or the
// end of the block. Everything that counts is in local variables, and in one function: a
// call would put them into memory.
//
// Beyond its count, the bit buffer has the bits that follow, or zeros. After a refill it has
// 64 bits of the input, 56 of which at least are counted; refilling again puts the same bits
// into the same places. Of the count only the lowest six bits matter, so a whole entry can
// be taken from it.
func (z *Reader) fast() {
	bits, count, pos, out := z.bits, uint32(z.count), uint(z.pos), uint(z.out)
	last := uint(z.end - fastInput) // where a round may still begin

	bits |= z.ahead(pos) << (count & 63)
	pos += uint(7 - count>>3&7)
	count |= 56
	e := z.lit[bits&(1<<litWidth-1)]
	for pos <= last && out < outLimit {
		// Four codes without a second level and a look at a fifth take 55 bits.
		if int32(e) < 0 {
			z.window[out] = byte(e >> 16)
			out++
			bits >>= e & 63
			count -= e
			e = z.lit[bits&(1<<litWidth-1)]
			if int32(e) < 0 {
				z.window[out] = byte(e >> 16)
				out++
				bits >>= e & 63
				count -= e
				e = z.lit[bits&(1<<litWidth-1)]
				if int32(e) < 0 {
					z.window[out] = byte(e >> 16)
					out++
					bits >>= e & 63
					count -= e
					e = z.lit[bits&(1<<litWidth-1)]
					if int32(e) < 0 {
						z.window[out] = byte(e >> 16)
						out++
						bits >>= e & 63
						count -= e
						e = z.lit[bits&(1<<litWidth-1)]
						bits |= z.ahead(pos) << (count & 63)
						pos += uint(7 - count>>3&7)
						count |= 56
						continue
					}
				}
			}
		}
		if e&entryException != 0 {
			if e&entryLink == 0 {
				break
			}
			e2 := z.lit[(uint64(e>>16)+bits>>litWidth&(1<<(e>>8&15)-1))&4095]
			if e2&entryException != 0 {
				break
			}
			e = e2 + litWidth*0x101
			if int32(e) < 0 {
				z.window[out&windowMask] = byte(e >> 16)
				out++
				bits >>= e & 63
				count -= e
				e = z.lit[bits&(1<<litWidth-1)]
				bits |= z.ahead(pos) << (count & 63)
				pos += uint(7 - count>>3&7)
				count |= 56
				continue
			}
		}
		length := uint(e>>16&0x1ff) + uint(uint32(bits>>(e>>8&15))&(e>>25))
		bits >>= e & 63
		count -= e
		d := z.dist[bits&(1<<distWidth-1)]
		bits |= z.ahead(pos) << (count & 63)
		pos += uint(7 - count>>3&7)
		count |= 56
		if d&entryException != 0 {
			if d&entryLink != 0 {
				d = z.dist[(uint64(d>>16)+bits>>distWidth&(1<<(d>>8&15)-1))&1023] + distWidth*0x101
			}
			if d&entryException != 0 {
				bits, count, pos = z.back(pos, count, e)
				break
			}
		}
		distance := uint(d>>16) + uint(bits&(1<<(d&63)-1)>>(d>>8&15))
		if distance > out-uint(z.low) {
			bits, count, pos = z.back(pos, count, e)
			break
		}
		bits >>= d & 63
		count -= d
		e = z.lit[bits&(1<<litWidth-1)]
		bits |= z.ahead(pos) << (count & 63)
		pos += uint(7 - count>>3&7)
		count |= 56

		// Copies write up to 31 bytes more than the match has.
		to, end := out, out+length
		out = end
		if distance >= 16 {
			z.copy16(to, to-distance)
			z.copy16(to+16, to-distance+16)
			for to += 32; to < end; to += 16 {
				z.copy16(to, to-distance)
			}
			continue
		}
		if distance == 1 {
			v := uint64(z.window[(to-1)&windowMask]) * 0x0101010101010101
			for ; to < end; to += 8 {
				t := to & windowMask
				binary.LittleEndian.PutUint64(z.window[t:t+8], v)
			}
			continue
		}
		// What repeats is written twice as long each time, up to 16 bytes and more.
		for to < end && distance < 16 {
			z.copy16(to, to-distance)
			to += distance
			distance *= 2
		}
		for ; to < end; to += 16 {
			z.copy16(to, to-distance)
		}
	}
	// Whole bytes go back to the input.
	count &= 63
	z.pos = int(pos - uint(count>>3))
	z.count = uint(count & 7)
	z.bits = bits & (1<<z.count - 1)
	z.out = int(out)
}

// ahead returns the eight bytes of the input at a position, the first one lowest.
func (z *Reader) ahead(pos uint) uint64 {
	pos &= inMask
	return binary.LittleEndian.Uint64(z.in[pos : pos+8])
}

// copy16 copies 16 bytes within the window. The compiler makes it one load and one store.
func (z *Reader) copy16(to, from uint) {
	to &= windowMask
	from &= windowMask
	*(*[16]byte)(z.window[to : to+16]) = *(*[16]byte)(z.window[from : from+16])
}

// back returns the bit buffer, its count and the position in the input as they were
// before an entry was consumed, up to whole bytes.
func (z *Reader) back(at uint, counted uint32, e entry) (bits uint64, count uint32, pos uint) {
	begin := at<<3 - uint(counted&63) - consumed(e) // in bits
	count = uint32(-begin & 7)
	pos = (begin + 7) >> 3
	return uint64(z.in[pos-1]) >> (8 - count), count, pos
}
