package xz

import "fmt"

// A decoder decodes LZMA. See the LZMA specification in the LZMA SDK.
type decoder struct {
	out  []byte
	pos  int // in out
	dict int // where the dictionary begins in out

	needDict, needProps bool
	lc, lpMask, pbMask  uint

	state uint32
	reps  [4]uint32 // distances of the last matches, less one
	probs
	rc rangeCoder
}

// probs are all probabilities.
type probs struct {
	match, rep0Long                [12][16]prob
	rep, repNot0, repNot1, repNot2 [12]prob
	slots                          [4][64]prob
	special                        [128]prob
	align                          [16]prob
	length, repLength              lengthProbs
	literals                       [16][0x300]prob
}

type lengthProbs struct {
	not0, not1 prob
	low, mid   [16][8]prob
	high       [256]prob
}

// reset forgets all that was learnt.
func (d *decoder) reset() {
	d.state, d.reps = 0, [4]uint32{}
	p := &d.probs
	for i := range p.match {
		fill(p.match[i][:], p.rep0Long[i][:])
	}
	fill(p.rep[:], p.repNot0[:], p.repNot1[:], p.repNot2[:], p.special[:], p.align[:])
	for i := range p.slots {
		fill(p.slots[i][:])
	}
	for i := range p.literals {
		fill(p.literals[i][:])
	}
	p.length.reset()
	p.repLength.reset()
}

func (l *lengthProbs) reset() {
	l.not0, l.not1 = probInit, probInit
	for i := range l.low {
		fill(l.low[i][:], l.mid[i][:])
	}
	fill(l.high[:])
}

// fill makes 0 and 1 equally likely.
func fill(lists ...[]prob) {
	for _, list := range lists {
		for i := range list {
			list[i] = probInit
		}
	}
}

// symbols decodes until out has end bytes.
func (d *decoder) symbols(end int) error {
	for d.pos < end {
		if d.rc.pos > d.rc.end {
			return fmt.Errorf("%w: end of a chunk", ErrCorrupt)
		}
		at := uint(d.pos-d.dict) & d.pbMask
		if d.rc.bit(&d.match[d.state][at]) == 0 {
			d.literal()
			continue
		}
		length := 0
		if d.rc.bit(&d.rep[d.state]) == 0 {
			length = d.newMatch(at)
		} else {
			length = d.repeated(at)
		}
		if err := d.repeat(int(d.reps[0])+1, length, end); err != nil {
			return err
		}
	}
	if !d.rc.ended() {
		return fmt.Errorf("%w: end of a chunk", ErrCorrupt)
	}
	return nil
}

// literal decodes a byte.
func (d *decoder) literal() {
	var before uint
	if d.pos > d.dict {
		before = uint(d.out[d.pos-1])
	}
	probs := &d.literals[(uint(d.pos-d.dict)&d.lpMask)<<d.lc+before>>(8-d.lc)]
	if d.state < 7 {
		d.out[d.pos] = byte(d.rc.tree(probs[:0x100], 8))
	} else {
		// A match came before, so that is within the dictionary.
		d.out[d.pos] = d.rc.matched(probs[:], d.out[d.pos-int(d.reps[0])-1])
	}
	d.pos++
	d.state = afterLiteral[d.state]
}

var afterLiteral = [12]uint32{0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 4, 5}

// newMatch decodes the length of a match at a new distance, and the distance.
func (d *decoder) newMatch(at uint) int {
	d.reps[3], d.reps[2], d.reps[1] = d.reps[2], d.reps[1], d.reps[0]
	length := d.length.decode(&d.rc, at)
	d.reps[0] = d.distance(d.slots[min(length-2, 3)][:])
	d.state = ifLiteral(d.state, 7, 10)
	return length
}

// distance decodes a distance, less one: its two highest bits and the number of the
// others are a slot.
func (d *decoder) distance(probs []prob) uint32 {
	slot := d.rc.tree(probs, 6)
	if slot < 4 {
		return slot
	}
	bits := int(slot>>1) - 1
	high := (2 | slot&1) << bits
	if slot < 14 {
		return high + d.rc.reverse(d.special[high-slot:], bits)
	}
	return high + d.rc.direct(bits-4)<<4 + d.rc.reverse(d.align[:], 4)
}

// repeated decodes the length of a match at one of the last distances, and makes that the
// last.
func (d *decoder) repeated(at uint) int {
	state := d.state
	if d.rc.bit(&d.repNot0[state]) == 0 {
		if d.rc.bit(&d.rep0Long[state][at]) == 0 {
			d.state = ifLiteral(state, 9, 11)
			return 1
		}
	} else {
		n := 1
		if d.rc.bit(&d.repNot1[state]) == 1 {
			n = 2 + int(d.rc.bit(&d.repNot2[state]))
		}
		distance := d.reps[n]
		copy(d.reps[1:n+1], d.reps[:n])
		d.reps[0] = distance
	}
	d.state = ifLiteral(state, 8, 11)
	return d.repLength.decode(&d.rc, at)
}

// ifLiteral returns the next state, which depends on whether a literal came before.
func ifLiteral(state, literal, match uint32) uint32 {
	if state < 7 {
		return literal
	}
	return match
}

func (l *lengthProbs) decode(rc *rangeCoder, at uint) int {
	if rc.bit(&l.not0) == 0 {
		return 2 + int(rc.tree(l.low[at][:], 3))
	}
	if rc.bit(&l.not1) == 0 {
		return 10 + int(rc.tree(l.mid[at][:], 3))
	}
	return 18 + int(rc.tree(l.high[:], 8))
}

// repeat copies what was decoded at a distance before.
func (d *decoder) repeat(distance, length, end int) error {
	from := d.pos - distance
	if from < d.dict || length > end-d.pos {
		return fmt.Errorf("%w: match", ErrCorrupt)
	}
	to := d.out[d.pos : d.pos+length]
	d.pos += length
	// A match may reach into what it makes.
	for len(to) > 0 {
		n := copy(to, d.out[from:d.pos-len(to)])
		to = to[n:]
	}
	return nil
}
