package replay

import (
	"math/rand/v2"
	"slices"

	"github.com/sysupdate-image/sysupdate-image/test/powercut/writelog"
)

// Options say which cuts to enumerate.
type Options struct {
	Seed uint64
	// Want is how many cuts there should be.
	Want int
	// From is the first entry that may not have been complete: what is before has
	// been done to make the disk.
	From int
	// Together are sectors of which a torn write leaves all or none.
	Together []Area
}

// The first rounds; the others are of random sets.
const (
	roundMoments = iota
	roundFlushes
	roundSubsets
	roundPrefixes
)

// patience is how many rounds in a row may find nothing new before it is said that
// there is no more.
const patience = 60

// Enumerate returns cuts, each of another content of the disk's areas or at
// another moment as moment tells them apart; in the order of the log. It
// changes content. For each time between two flushes there are first its beginning,
// all subsets of the writes to the first area, if they are few, and exact prefixes;
// then, in turn, random sets of what was in flight until there are as many cuts as
// wanted. If a log has not as many, there are fewer.
func Enumerate(entries []writelog.Entry, content []byte, areas []Area, moment func(at int) int, o Options) []Cut {
	e := enumerator{
		entries: entries, areas: areas, moment: moment, want: o.Want, notTorn: o.Together,
		seen: make(map[key]bool),
		rand: rand.New(rand.NewPCG(o.Seed, 0)),
	}
	epochs := e.epochs(o.From)
	// Each round is a pass over a fresh disk, so that a small count is spread over
	// the whole log.
	idle := 0
	for round := 0; idle < patience && len(e.cuts) < e.want; round++ {
		before := len(e.cuts)
		e.pass(NewDisk(slices.Clone(content), areas), epochs, round)
		if idle++; len(e.cuts) > before {
			idle = 0
		}
	}
	slices.SortStableFunc(e.cuts, func(a, b Cut) int {
		if a.Durable != b.Durable {
			return a.Durable - b.Durable
		}
		return a.At - b.At
	})
	return e.cuts
}

// A key tells cuts apart.
type key struct {
	states string
	moment int
}

type enumerator struct {
	entries []writelog.Entry
	areas   []Area
	moment  func(at int) int
	want    int
	notTorn []Area
	seen    map[key]bool
	rand    *rand.Rand
	cuts    []Cut
}

// An epoch is the entries from one flush to the next. The flush itself is the
// last of them, but for the end of the log.
type epoch struct{ from, to int }

func (e *enumerator) epochs(from int) []epoch {
	var all []epoch
	for i, entry := range e.entries {
		if entry.Flags&writelog.Flush != 0 && i >= from {
			all = append(all, epoch{from, i + 1})
			from = i + 1
		}
	}
	if from < len(e.entries) {
		all = append(all, epoch{from, len(e.entries)})
	}
	return all
}

// pass goes over the log once.
func (e *enumerator) pass(disk *Disk, epochs []epoch, round int) {
	chosen := e.choice(epochs, round)
	done := 0
	for i, ep := range epochs {
		for ; done < ep.from; done++ {
			e.apply(disk, done)
		}
		if !chosen[i] || len(e.cuts) >= e.want {
			continue
		}
		switch round {
		case roundMoments:
			e.moments(disk, ep)
		case roundFlushes:
			e.add(disk, ep.from, ep.from, nil)
		case roundSubsets:
			e.subsets(disk, ep)
		case roundPrefixes:
			e.prefixes(disk, ep)
		default:
			e.random(disk, ep, round)
		}
	}
	for ; done < len(e.entries); done++ {
		e.apply(disk, done)
	}
	if round == roundFlushes {
		e.add(disk, done, done, nil)
	}
}

// choice says which epochs get cuts in a round, when not all can.
func (e *enumerator) choice(epochs []epoch, round int) []bool {
	chosen := make([]bool, len(epochs))
	missing := e.want - len(e.cuts)
	switch round {
	case roundMoments:
		missing = len(epochs)
	case roundFlushes, roundPrefixes: // leave some for the others
		missing = min(missing, e.want/4)
	case roundSubsets:
		missing /= 2
	}
	for _, i := range e.order(epochs, round) {
		if missing -= e.cost(epochs[i], round); missing < 0 {
			break
		}
		chosen[i] = true
	}
	return chosen
}

// order returns the indices of the epochs in the order in which they get their
// cuts: a random one, but in every other round those come first in which the first
// area is written to. It is the one that decides what boots, and is seldom written.
func (e *enumerator) order(epochs []epoch, round int) []int {
	order := e.rand.Perm(len(epochs))
	if round == roundSubsets {
		return e.bySubsets(epochs, order)
	}
	if round%2 != 0 {
		return order
	}
	writes := func(i int) bool {
		return slices.ContainsFunc(e.inFlight(epochs[i].from, epochs[i].to), func(n int) bool {
			return overlaps(e.entries[n], e.areas[0])
		})
	}
	var first, rest []int
	for _, i := range order {
		if writes(i) {
			first = append(first, i)
		} else {
			rest = append(rest, i)
		}
	}
	return append(first, rest...)
}

// overlaps reports whether an entry writes to an area.
func overlaps(e writelog.Entry, a Area) bool {
	return e.Offset < a.Offset+a.Size && e.Offset+e.Length > a.Offset
}

// moments adds the power cuts at which a moment has just begun.
func (e *enumerator) moments(disk *Disk, ep epoch) {
	for at := ep.from + 1; at <= ep.to && len(e.cuts) < e.want; at++ {
		if e.moment(at) != e.moment(at-1) {
			e.add(disk, ep.from, at, nil)
		}
	}
}

// apply puts an entry on the disk for good.
func (e *enumerator) apply(disk *Disk, i int) {
	if e.entries[i].IsWrite() {
		disk.write(e.entries[i], whole(e.entries, i), false)
	}
}

// prefixes adds the power cuts at each entry of an epoch, with all arrived.
func (e *enumerator) prefixes(disk *Disk, ep epoch) {
	for at := ep.from + 1; at <= ep.to && len(e.cuts) < e.want; at++ {
		if e.rand.IntN(2) == 0 && e.want < len(e.entries) {
			continue
		}
		var pieces []Piece
		for _, i := range e.inFlight(ep.from, at) {
			pieces = append(pieces, whole(e.entries, i))
		}
		e.add(disk, ep.from, at, pieces)
	}
}

// inFlight returns the entries between two that change an area.
func (e *enumerator) inFlight(from, to int) []int {
	var all []int
	for i := from; i < to; i++ {
		entry := e.entries[i]
		if !entry.IsWrite() {
			continue
		}
		if slices.ContainsFunc(e.areas, func(a Area) bool { return overlaps(entry, a) }) {
			all = append(all, i)
		}
	}
	return all
}

// random adds a power cut at which a random set of what was in flight arrived.
func (e *enumerator) random(disk *Disk, ep epoch, round int) {
	// Most often the cut is as late as can be: that is when most is in flight and
	// most has been promised.
	at := e.latest(ep)
	if round%4 == 3 && at > ep.from+1 {
		at = ep.from + 1 + e.rand.IntN(at-ep.from)
	}
	flying := e.inFlight(ep.from, at)
	if len(flying) == 0 {
		return
	}
	e.add(disk, ep.from, at, e.choose(flying, round))
}

// latest returns the latest moment at which an epoch has not ended.
func (e *enumerator) latest(ep epoch) int {
	if e.entries[ep.to-1].Flags&writelog.Flush != 0 {
		return ep.to - 1
	}
	return ep.to
}

// choose returns some of what is in flight: in turn all but one, one alone, or a
// random set; and in every other round some of it torn.
func (e *enumerator) choose(flying []int, round int) []Piece {
	lonely := e.rand.IntN(len(flying))
	likely := 0.1 + 0.8*e.rand.Float64()
	torn := round%2 == 1
	tear := e.rand.IntN(len(flying))
	var pieces []Piece
	for n, i := range flying {
		var in bool
		switch round % 5 {
		case 2:
			in = n != lonely
		case 3:
			in = n == lonely
		default:
			in = e.rand.Float64() < likely
		}
		if e.entries[i].Flags&writelog.FUA != 0 {
			pieces = append(pieces, whole(e.entries, i))
			continue
		}
		if torn && (n == tear || e.rand.IntN(8) == 0) && sectors(e.entries[i]) > 1 {
			pieces = append(pieces, e.torn(i)...)
		} else if in {
			pieces = append(pieces, whole(e.entries, i))
		}
	}
	return pieces
}

// torn returns some sectors of an entry: its beginning, its end, or any.
func (e *enumerator) torn(i int) []Piece { return e.together(i, e.anySectors(i)) }

// together has the pieces of an entry take in all sectors of what is not torn, if
// they have any of them.
func (e *enumerator) together(i int, pieces []Piece) []Piece {
	entry := e.entries[i]
	for _, t := range e.notTorn {
		from := int((max(t.Offset, entry.Offset) - entry.Offset) / SectorSize)
		to := int((min(t.Offset+t.Size, entry.Offset+entry.Length) - entry.Offset) / SectorSize)
		has := func(p Piece) bool { return p.From < to && p.To > from }
		if from < to && slices.ContainsFunc(pieces, has) {
			pieces = append(pieces, Piece{i, from, to})
		}
	}
	return pieces
}

func (e *enumerator) anySectors(i int) []Piece {
	n := sectors(e.entries[i])
	at := 1 + e.rand.IntN(n-1)
	switch e.rand.IntN(3) {
	case 0:
		return []Piece{{i, 0, at}}
	case 1:
		return []Piece{{i, at, n}}
	}
	var pieces []Piece
	for s := 0; s < n; {
		run := 1 + e.rand.IntN(n)
		if end := min(s+run, n); e.rand.IntN(2) == 0 {
			pieces = append(pieces, Piece{i, s, end})
		}
		s += run
	}
	return pieces
}

// add adds a cut unless there is one like it.
func (e *enumerator) add(disk *Disk, durable, at int, pieces []Piece) {
	states := disk.With(e.entries, pieces)
	k := key{moment: e.moment(at)}
	for _, s := range states {
		k.states += string(s[:])
	}
	if e.seen[k] {
		return
	}
	e.seen[k] = true
	e.cuts = append(e.cuts, Cut{Durable: durable, At: at, Pieces: pieces, States: states})
}

// With returns the states that the disk's areas would have with the pieces.
func (d *Disk) With(entries []writelog.Entry, pieces []Piece) []State {
	var undos []undo
	for _, p := range pieces {
		undos = append(undos, d.write(entries[p.Entry], p, true))
	}
	states := slices.Clone(d.states)
	for _, u := range slices.Backward(undos) {
		d.replace(u.offset, u.old)
	}
	return states
}
