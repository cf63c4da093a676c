package inflate

// readSymbols decodes codes: by the fast loop while there is enough input, and one by one
// near its end and where the fast loop met what it leaves to others. It reports whether it
// wants more input.
func (z *Reader) readSymbols() bool {
	for z.out < outLimit {
		if z.lazy > 0 {
			z.lazy--
		} else if z.end-z.pos >= fastInput {
			z.loadFixed()
			z.fast()
			if z.out >= outLimit {
				return false
			}
		}
		if ok := z.symbol(); !ok || z.err != nil || z.state != stateSymbols {
			return !ok
		}
	}
	return false
}

// code finds the entry for the code that begins after some bits of the bit buffer, and
// has the bit buffer hold all of that code. least is how many bits it has at least. Bits
// that are not there yet count as zeros: the entry found then has the shortest code that
// may be meant. It reports false if there is not enough input.
func (z *Reader) code(table []entry, width, least, after uint) (entry, bool) {
	for n := least; ; {
		if !z.need(after + n) {
			return 0, false
		}
		ahead := z.bits >> (after & 63)
		e := table[ahead&(1<<width-1)]
		n = codeBits(e)
		if e&entryLink != 0 {
			e = table[uint64(e>>16)+ahead>>width&(1<<n-1)]
			e += entry(width) * 0x101
			n = codeBits(e)
		}
		if after+n <= z.count {
			return e, true
		}
	}
}

// symbol decodes a literal, a match or the end of the block, or nothing if there is not all
// of it: then it reports false.
func (z *Reader) symbol() bool {
	e, ok := z.code(z.codes.lit[:], litWidth, z.least, 0)
	if !ok {
		return false
	}
	switch {
	case e&entryLiteral != 0:
		z.window[z.out] = byte(e >> 16)
		z.out++
		z.take(consumed(e))
		return true
	case e&entryEnd != 0:
		z.take(consumed(e))
		z.endBlock()
		return true
	case e&entryException != 0:
		z.err = z.corrupt()
		return true
	}
	return z.match(e)
}

// match decodes the rest of a match, and copies it, if all of it is there: else it reports false.
func (z *Reader) match(e entry) bool {
	after := consumed(e)
	if !z.need(after) {
		return false
	}
	d, ok := z.code(z.codes.dist[:], distWidth, z.leastDist, after)
	if !ok {
		return false
	}
	if d&entryException != 0 {
		z.err = z.corrupt()
		return true
	}
	if !z.need(after + consumed(d)) {
		return false
	}
	length := int(e>>16&0x1ff) + z.extra(e, 0)
	distance := int(d>>16&0x7fff) + z.extra(d, after)
	if distance > z.out-z.low {
		z.err = z.corrupt()
		return true
	}
	z.take(after)
	z.take(consumed(d))
	z.copyMatch(distance, length)
	return true
}

// copyMatch writes a match. Where that repeats itself, what is there already is written
// once more, twice as much each time.
func (z *Reader) copyMatch(distance, length int) {
	from, end := z.out-distance, z.out+length
	for z.out < end {
		z.out += copy(z.window[z.out:end], z.window[from:z.out])
	}
}

// extra returns the extra bits of an entry whose code begins after some bits of the bit buffer.
func (z *Reader) extra(e entry, after uint) int {
	n := consumed(e) - codeBits(e)
	return int(z.bits >> ((after + codeBits(e)) & 63) & (1<<n - 1))
}
