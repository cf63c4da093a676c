package inflate

import (
	"math/bits"
	"sync"
)

// The limits of RFC 1951, as compress/flate has them.
const (
	maxCode     = 15 // bits of a code
	numLit      = 286
	numDist     = 30
	endOfBlock  = 256
	litWidth    = 11 // bits of an index into the first level of a table
	distWidth   = 9
	lengthWidth = 7
)

// An entry of a table says what a code stands for:
//
//	bits 0–5    how many bits to consume: of the code, and the extra bits after it
//	bits 8–11   how many of them are of the code
//	bits 16–30  the value: a byte, the least length or the least distance
//	bits 25–29  of a length, the mask of its extra bits
//	bit 31      it is a literal
//	bit 15      it is none of these, but one of the following
//	bit 14      a link: bits 16–30 say where the second level begins, bits 8–11 its width
//	bit 13      the end of the block
//
// Bits 6 and 7 are zero. With bit 15 alone, no symbol has that code.
type entry = uint32

const (
	entryLiteral   entry = 1 << 31
	entryException entry = 1 << 15
	entryLink      entry = 1 << 14
	entryEnd       entry = 1 << 13
)

// consumed returns how many bits an entry consumes.
func consumed(e entry) uint { return uint(e & 63) }

// codeBits returns how many of them are of the code; of a link, its width.
func codeBits(e entry) uint { return uint(e >> 8 & 15) }

// litEntries, distEntries and lengthEntries are what each symbol's entry has, whatever
// its code.
var (
	litEntries    = makeLitEntries()
	distEntries   = makeDistEntries()
	lengthEntries = makeLengthEntries()
)

func makeLitEntries() (t [numLit + 2]entry) {
	for s := range 256 {
		t[s] = entryLiteral | entry(s)<<16
	}
	t[endOfBlock] = entryException | entryEnd
	base := entry(3)
	for s := 257; s < 285; s++ {
		extra := entry(0)
		if s >= 265 {
			extra = entry(s-261) / 4
		}
		t[s] = base<<16 | (1<<extra-1)<<25 | extra
		base += 1 << extra
	}
	t[285] = 258 << 16
	t[286], t[287] = entryException, entryException
	return t
}

func makeDistEntries() (t [numDist + 2]entry) {
	base := entry(1)
	for s := range numDist {
		extra := entry(max(s/2-1, 0))
		t[s] = base<<16 | extra
		base += 1 << extra
	}
	t[30], t[31] = entryException, entryException
	return t
}

func makeLengthEntries() (t [19]entry) {
	for s := range t {
		t[s] = entry(s) << 16
	}
	return t
}

// tables are those of a block's two codes.
type tables struct {
	lit  [4096]entry // literals and lengths
	dist [1024]entry // distances
}

// fixedTables builds the tables of the fixed codes, once.
var fixedTables = sync.OnceValue(func() *tables {
	z := new(tables)
	lengths := make([]uint8, numLit+2)
	for s := range lengths {
		switch {
		case s < 144, s >= 280:
			lengths[s] = 8
		case s < 256:
			lengths[s] = 9
		default:
			lengths[s] = 7
		}
	}
	build(z.lit[:], litWidth, lengths, litEntries[:])
	dist := make([]uint8, numDist+2)
	for s := range dist {
		dist[s] = 5
	}
	build(z.dist[:], distWidth, dist, distEntries[:])
	return z
})

// lazySymbols is how many symbols of a fixed block are decoded before its tables are put
// in place for the fast loop: a block of a few bits is not worth it.
const lazySymbols = 32

// useFixed begins a block of the fixed codes.
func (z *Reader) useFixed() {
	z.codes, z.least, z.leastDist = z.fixedCodes, 7, 5
	if z.lazy = lazySymbols; z.fixed {
		z.lazy = 0
	}
}

// loadFixed puts the tables of the fixed codes in place, if they are those that count.
func (z *Reader) loadFixed() {
	if z.codes == &z.tables || z.fixed {
		return
	}
	copy(z.lit[:1<<litWidth], z.codes.lit[:])
	copy(z.dist[:1<<distWidth], z.codes.dist[:])
	z.fixed = true
}

// build makes the table of a code from how long the code of each symbol is. It returns
// the length of the shortest, 0 if there is none, and false if the code is incomplete or
// has too many symbols.
func build(table []entry, width uint, lengths []uint8, symbols []entry) (least uint, ok bool) {
	var count [maxCode + 1]uint16
	for _, n := range lengths {
		count[n&15]++
	}
	least, most, free := spread(&count)
	switch {
	case most == 0:
		table[0] = entryException
		double(table, 0, width)
		return 0, true
	case most == 1 && count[1] == 1:
		s := index(lengths, 1)
		table[0], table[1] = symbols[s]+0x101, entryException
		double(table, 1, width)
		return 1, true
	case free != 0:
		return 0, false
	}
	var sorted [numLit + 2]uint16
	sortSymbols(&sorted, lengths, &count)
	if rest, code := fillFirst(table, width, sorted[:], symbols, &count); most > width {
		fillSecond(table, width, most, rest, code, symbols, &count)
	}
	return least, true
}

// spread returns the shortest and the longest length that a code has, and how many codes of
// 15 bits are left over, or are too many if negative.
func spread(count *[maxCode + 1]uint16) (least, most uint, free int) {
	free = 1 << maxCode
	for n := uint(1); n <= maxCode; n++ {
		if count[n] == 0 {
			continue
		}
		if least == 0 {
			least = n
		}
		most = n
		free -= int(count[n]) << (maxCode - n)
	}
	return least, most, free
}

func index(lengths []uint8, n uint8) int {
	for s, l := range lengths {
		if l == n {
			return s
		}
	}
	return -1
}

// sortSymbols orders the symbols that have a code by its length, and by themselves.
func sortSymbols(sorted *[numLit + 2]uint16, lengths []uint8, count *[maxCode + 1]uint16) {
	var at [maxCode + 2]uint16
	for n := 1; n <= maxCode; n++ {
		at[n+1] = at[n] + count[n]
	}
	for s, n := range lengths {
		if n > 0 {
			sorted[at[n]] = uint16(s)
			at[n]++
		}
	}
}

// double copies the first 1<<from entries until there are 1<<to.
func double(table []entry, from, to uint) {
	for ; from < to; from++ {
		copy(table[1<<from:2<<from], table[:1<<from])
	}
}

// following returns the code after a code of n bits. Codes are written as they are in the
// input, the first bit lowest.
func following(code, n uint) uint {
	high := uint(bits.Len(code^(1<<n-1))) - 1
	if high >= n { // the last code of all
		return 0
	}
	return code&(1<<high-1) | 1<<high
}

// fillFirst writes the codes that have a place in the first level. It returns the symbols
// that remain and their first code.
func fillFirst(table []entry, width uint, sorted []uint16, symbols []entry, count *[maxCode + 1]uint16) ([]uint16, uint) {
	code := uint(0)
	for n := uint(1); n <= width; n++ {
		double(table, n-1, n)
		for range count[n] {
			table[code] = symbols[sorted[0]] + entry(n)*0x101
			sorted = sorted[1:]
			code = following(code, n)
		}
	}
	return sorted, code
}

// fillSecond writes the longer codes: those that begin alike have a table of their own,
// behind the first level.
func fillSecond(table []entry, width, most uint, sorted []uint16, code uint, symbols []entry, count *[maxCode + 1]uint16) {
	start, size, prefix := uint(1)<<width, uint(0), ^uint(0)
	for n := width + 1; n <= most; n++ {
		for left := count[n]; left > 0; left-- {
			if p := code & (1<<width - 1); p != prefix {
				prefix, start = p, start+size
				w := secondWidth(n, width, most, left, count)
				size = 1 << w
				table[p] = entryException | entryLink | entry(start)<<16 | entry(w)<<8 | entry(width)
			}
			e := symbols[sorted[0]] + entry(n-width)*0x101
			sorted = sorted[1:]
			for i := code >> width; i < size; i += 1 << (n - width) {
				table[start+i] = e
			}
			code = following(code, n)
		}
	}
}

// secondWidth returns the width of the table for codes that begin alike, of which the
// shortest has n bits, with left codes of n bits to come.
func secondWidth(n, width, most uint, left uint16, count *[maxCode + 1]uint16) uint {
	w := n - width
	free := 1<<w - int(left)
	for free > 0 && w+width < most {
		w++
		free = free<<1 - int(count[w+width])
	}
	return w
}
