package inflate

import (
	"math/rand/v2"
	"slices"
)

// A writer writes DEFLATE bit by bit.
type writer struct {
	out  []byte
	free int // bits free in the last byte
}

// put writes the lowest n bits of v, the lowest first.
func (w *writer) put(v uint, n int) {
	for ; n > 0; n-- {
		if w.free == 0 {
			w.out, w.free = append(w.out, 0), 8
		}
		w.out[len(w.out)-1] |= byte(v&1) << (8 - w.free)
		w.free--
		v >>= 1
	}
}

// A huffman is a code: the length of each symbol's, and its bits, the first bit highest.
type huffman struct {
	lengths []uint8
	codes   []uint
}

// makeHuffman numbers the codes, whether or not they are a complete code.
func makeHuffman(lengths []uint8) huffman {
	codes, next := make([]uint, len(lengths)), uint(0)
	for n := uint8(1); n <= maxCode; n++ {
		next <<= 1
		for s, l := range lengths {
			if l == n {
				codes[s] = next
				next++
			}
		}
	}
	return huffman{lengths, codes}
}

// put writes a symbol; one that has no code is left out.
func (h huffman) put(w *writer, symbol int) {
	if symbol >= len(h.lengths) {
		return
	}
	for n := int(h.lengths[symbol]) - 1; n >= 0; n-- {
		w.put(h.codes[symbol]>>n, 1)
	}
}

// symbols returns the symbols that have a code.
func (h huffman) symbols() []int {
	var all []int
	for s, l := range h.lengths {
		if l > 0 {
			all = append(all, s)
		}
	}
	return all
}

// randomLengths returns the lengths of a complete code, of at most longest bits, for the
// first n symbols; required ones have a code. One symbol alone gets one bit.
func randomLengths(r *rand.Rand, n, longest int, required ...int) []uint8 {
	want := 1 + r.IntN(n)
	if r.IntN(4) == 0 {
		want = 1 + r.IntN(min(n, 5))
	}
	leaves := []uint8{0}
	skew := r.IntN(3) // how deep a tree is
	for len(leaves) < max(want, len(required)) {
		i := r.IntN(len(leaves))
		if skew > 0 && r.IntN(skew+1) > 0 {
			i = len(leaves) - 1
		}
		if int(leaves[i]) == longest {
			i = slices.IndexFunc(leaves, func(l uint8) bool { return int(l) < longest })
		}
		leaves[i]++
		leaves = append(leaves, leaves[i])
	}
	if len(leaves) == 1 {
		leaves[0] = 1
	}
	lengths := make([]uint8, n)
	order := append(slices.Clone(required), r.Perm(n)...)
	r.Shuffle(len(leaves), func(i, j int) { leaves[i], leaves[j] = leaves[j], leaves[i] })
	for _, s := range order {
		if len(leaves) > 0 && lengths[s] == 0 {
			lengths[s], leaves = leaves[0], leaves[1:]
		}
	}
	return lengths
}

// spoil now and then makes a code one that is incomplete or has too many symbols.
func spoil(r *rand.Rand, lengths []uint8, longest int) {
	if r.IntN(40) == 0 {
		lengths[r.IntN(len(lengths))] = uint8(r.IntN(longest + 1))
	}
	if r.IntN(60) == 0 {
		clear(lengths)
	}
}

// randomDeflate returns a DEFLATE stream of random codes, which encoders never make; some
// are invalid.
func randomDeflate(r *rand.Rand) []byte {
	w, out := new(writer), 0
	if r.IntN(25) == 0 {
		out = nearlyFull(r, w)
	}
	for blocks := 1 + r.IntN(5); blocks > 0; blocks-- {
		final := uint(0)
		if blocks == 1 {
			final = 1
		}
		w.put(final, 1)
		switch k := r.IntN(50); {
		case k == 0:
			w.put(3, 2)
		case k < 8:
			out += randomStored(r, w)
		case k < 15:
			w.put(1, 2)
			out = randomSymbols(r, w, fixedHuffman(numLit+2), fixedDistances(), out)
		default:
			w.put(2, 2)
			out = randomDynamic(r, w, out)
		}
	}
	return w.out
}

func randomStored(r *rand.Rand, w *writer) int {
	w.put(0, 2)
	w.free = 0
	n := r.IntN(300)
	if r.IntN(10) == 0 {
		n = r.IntN(1 << 16)
	}
	check := uint(n) ^ 0xffff
	if r.IntN(50) == 0 {
		check ^= 1 << r.IntN(16)
	}
	w.put(uint(n), 16)
	w.put(check, 16)
	for range n {
		w.out = append(w.out, byte(r.IntN(256)))
	}
	return n
}

// nearlyFull writes as much as nearly fills the window, so that what follows moves it.
func nearlyFull(r *rand.Rand, w *writer) int {
	size := outLimit - r.IntN(1500)
	for left := size; left > 0; {
		n := min(left, 0xffff)
		w.put(0, 3)
		w.free = 0
		w.put(uint(n)|uint(n^0xffff)<<16, 32)
		for range n {
			w.out = append(w.out, byte(r.IntN(256)))
		}
		left -= n
	}
	return size
}

func fixedHuffman(n int) huffman {
	lengths := make([]uint8, n)
	for s := range lengths {
		lengths[s] = uint8(7 + min(1, max(0, s-279)))
		if s < 256 {
			lengths[s] = uint8(8 + s/144)
		}
	}
	return makeHuffman(lengths)
}

func fixedDistances() huffman {
	lengths := make([]uint8, numDist+2)
	for s := range lengths {
		lengths[s] = 5
	}
	return makeHuffman(lengths)
}

// randomDynamic writes a dynamic block, and returns how much output there is after it.
func randomDynamic(r *rand.Rand, w *writer, out int) int {
	longest := 1 + r.IntN(maxCode)
	for 1<<longest < numLit {
		longest++
	}
	counts := [2]int{257 + r.IntN(numLit-256), 1 + r.IntN(numDist)}
	if r.IntN(60) == 0 {
		counts[r.IntN(2)] += 2
	}
	var required []int
	if r.IntN(30) > 0 {
		required = []int{endOfBlock}
	}
	lit := randomLengths(r, counts[0], longest, required...)
	dist := randomLengths(r, counts[1], max(5, r.IntN(maxCode+1)))
	spoil(r, lit, maxCode)
	spoil(r, dist, maxCode)
	w.put(uint(counts[0]-257), 5)
	w.put(uint(counts[1]-1), 5)
	writeLengths(r, w, append(slices.Clone(lit), dist...))
	return randomSymbols(r, w, makeHuffman(lit), makeHuffman(dist), out)
}

// A run is a symbol of the code of lengths, with its extra bits.
type run struct{ symbol, extra, bits int }

// runs writes lengths as symbols, repeating some of what repeats.
func runs(r *rand.Rand, lengths []uint8) []run {
	var all []run
	for i := 0; i < len(lengths); {
		same := 1
		for i+same < len(lengths) && lengths[i+same] == lengths[i] && same < 138 {
			same++
		}
		previous := i > 0 && lengths[i-1] == lengths[i]
		switch {
		case lengths[i] == 0 && same >= 11 && r.IntN(5) > 0:
			all = append(all, run{18, same - 11, 7})
		case lengths[i] == 0 && same >= 3 && r.IntN(5) > 0:
			same = min(same, 10)
			all = append(all, run{17, same - 3, 3})
		case previous && same >= 3 && r.IntN(5) > 0:
			same = min(same, 6)
			all = append(all, run{16, same - 3, 2})
		default:
			same = 1
			all = append(all, run{int(lengths[i]), 0, 0})
		}
		i += same
	}
	if last := &all[len(all)-1]; r.IntN(40) == 0 && last.symbol >= 16 && last.extra+1 < 1<<last.bits {
		last.extra++ // one length too many
	}
	if r.IntN(60) == 0 {
		all = append(all, run{16 + r.IntN(3), 3, 2})
	}
	if r.IntN(60) == 0 {
		all = slices.Insert(all, 0, run{16, 0, 2})
	}
	return all
}

func writeLengths(r *rand.Rand, w *writer, lengths []uint8) {
	all := runs(r, lengths)
	var used []int
	for _, s := range all {
		if !slices.Contains(used, s.symbol) {
			used = append(used, s.symbol)
		}
	}
	code := randomLengths(r, 19, 7, used...)
	spoil(r, code, 7)
	n := 19
	for n > 4 && code[lengthOrder[n-1]] == 0 && r.IntN(10) > 0 {
		n--
	}
	w.put(uint(n-4), 4)
	for _, s := range lengthOrder[:n] {
		w.put(uint(code[s]), 3)
	}
	h := makeHuffman(code)
	for _, s := range all {
		h.put(w, s.symbol)
		w.put(uint(s.extra), s.bits)
	}
}

// randomSymbols writes the codes of a block and its end, and returns how much output there
// is after it.
func randomSymbols(r *rand.Rand, w *writer, lit, dist huffman, out int) int {
	symbols, distances := lit.symbols(), dist.symbols()
	if len(symbols) == 0 {
		return out
	}
	many := r.IntN(200)
	if r.IntN(10) == 0 {
		many = r.IntN(20000)
	}
	stray := r.IntN(100) == 0 // whether symbols and distances may be invalid
	tooFar := []int{2000, 2000, 20}[r.IntN(3)]
	for range many {
		s := symbols[r.IntN(len(symbols))]
		switch {
		case s < endOfBlock:
			lit.put(w, s)
			out++
		case s > endOfBlock && (s < numLit || stray) && len(distances) > 0:
			out += randomMatch(r, w, lit, dist, s, distances, out, stray, tooFar)
		}
	}
	lit.put(w, endOfBlock)
	return out
}

// randomMatch writes a match, whose distance is too far once in so many times, and returns its
// length.
func randomMatch(r *rand.Rand, w *writer, lit, dist huffman, s int, distances []int, out int, stray bool, tooFar int) int {
	for range 10 {
		d := distances[r.IntN(len(distances))]
		if d >= numDist && !stray {
			continue
		}
		var extra, n int
		if d < numDist {
			n = max(d/2-1, 0)
			if extra = r.IntN(1 << n); r.IntN(8) == 0 {
				extra = 1<<n - 1
			}
			if far := int(distEntries[d]>>16) + extra; far > out && r.IntN(tooFar) > 0 {
				continue
			}
		}
		lit.put(w, s)
		length := 0
		if s < numLit {
			bits := int(litEntries[s] & 63)
			more := r.IntN(1 << bits)
			length = int(litEntries[s]>>16&0x1ff) + more
			w.put(uint(more), bits)
		}
		dist.put(w, d)
		w.put(uint(extra), n)
		return length
	}
	return 0
}
