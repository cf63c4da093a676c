package replay

import (
	"cmp"
	"slices"

	"github.com/sysupdate-image/sysupdate-image/test/powercut/writelog"
)

// A power cut breaks a boot partition by a few writes of which the wrong ones
// arrive: random sets may miss the one that matters. There are seldom more than
// some in flight at a time, so that all their subsets can be tried.

// maxSubset is how many writes to the first area may be in flight for that.
const maxSubset = 8

// bySubsets returns the indices of epochs with the fewest subsets first.
func (e *enumerator) bySubsets(epochs []epoch, order []int) []int {
	writes := make(map[int]int)
	for _, i := range order {
		writes[i] = len(e.toFirst(epochs[i].from, e.latest(epochs[i])))
	}
	order = slices.DeleteFunc(order, func(i int) bool { return writes[i] == 0 || writes[i] > maxSubset })
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(writes[a], writes[b]) })
	return order
}

// cost is how many cuts an epoch gets in a round, about.
func (e *enumerator) cost(ep epoch, round int) int {
	if round != roundSubsets {
		return 1
	}
	return 1 << len(e.toFirst(ep.from, e.latest(ep)))
}

// subsets adds the power cuts at the end of an epoch at which any of the writes to
// the first area have arrived, and a random set of the others.
func (e *enumerator) subsets(disk *Disk, ep epoch) {
	at := e.latest(ep)
	first, flying := e.toFirst(ep.from, at), e.inFlight(ep.from, at)
	for set := 0; set < 1<<len(first) && len(e.cuts) < e.want; set++ {
		var pieces []Piece
		for _, i := range flying {
			in := e.rand.IntN(2) == 0
			if n := slices.Index(first, i); n >= 0 {
				in = set>>n&1 != 0
			}
			if in || e.entries[i].Flags&writelog.FUA != 0 {
				pieces = append(pieces, whole(e.entries, i))
			}
		}
		e.add(disk, ep.from, at, pieces)
	}
}

// toFirst returns the entries between two that write to the first area.
func (e *enumerator) toFirst(from, to int) []int {
	return slices.DeleteFunc(e.inFlight(from, to), func(i int) bool { return !overlaps(e.entries[i], e.areas[0]) })
}
