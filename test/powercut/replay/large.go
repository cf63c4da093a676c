package replay

import (
	"io"
	"math"
	"math/rand/v2"

	"github.com/sysupdate-image/sysupdate-image/test/powercut/writelog"
)

// This file is for disks that are too large to be kept in memory. Without their
// content it cannot be told whether two cuts leave the same.

// Choose returns a power cut at a moment between two entries at which one that
// writes to an area was in flight, any of these; false if there is none. With kind 0
// nothing of what was in flight arrived; the other kinds are those of the rounds of
// Enumerate: all but one write, one alone, or a random set, and every odd one with
// torn writes. The cut has no States.
func Choose(entries []writelog.Entry, area Area, from, to, kind int, random *rand.Rand) (Cut, bool) {
	var writes []int
	for i := from; i < to; i++ {
		if entries[i].IsWrite() && overlaps(entries[i], area) {
			writes = append(writes, i)
		}
	}
	if len(writes) == 0 {
		return Cut{}, false
	}
	flushes := func(i int) bool { return entries[i].Flags&writelog.Flush != 0 }
	durable, at := writes[random.IntN(len(writes))], 0
	for at = durable; at < to && !flushes(at); at++ {
	}
	for durable > 0 && !flushes(durable-1) {
		durable--
	}
	if kind == 0 {
		return Cut{Durable: durable, At: max(durable, from)}, true
	}
	e := enumerator{entries: entries, areas: []Area{{0, math.MaxInt64}}, rand: random}
	return Cut{Durable: durable, At: at, Pieces: e.choose(e.inFlight(durable, at), kind)}, true
}

// Put writes to a disk the entries between two.
func Put(disk io.WriterAt, entries []writelog.Entry, from, to int) error {
	var pieces []Piece
	for i := from; i < to; i++ {
		if entries[i].IsWrite() {
			pieces = append(pieces, whole(entries, i))
		}
	}
	return PutPieces(disk, entries, pieces)
}

// PutPieces writes to a disk what arrived.
func PutPieces(disk io.WriterAt, entries []writelog.Entry, pieces []Piece) error {
	for _, p := range pieces {
		e := entries[p.Entry]
		if _, err := disk.WriteAt(content(e, p), e.Offset+int64(p.From)*SectorSize); err != nil {
			return err
		}
	}
	return nil
}
