package selabel

import "slices"

// An index finds the last line that matches a file without trying thousands of
// regular expressions: lines are kept by the text that their matches begin
// with, and half of them are about one path only.
type index struct {
	byPrefix map[string][]int // line numbers, last first
	lengths  []int            // lengths of the keys of byPrefix, longest first
}

// build fills the index with all lines.
func (x *index) build(specs []spec) {
	x.byPrefix = map[string][]int{}
	seen := map[int]bool{}
	for i := len(specs) - 1; i >= 0; i-- {
		p := specs[i].prefix
		x.byPrefix[p] = append(x.byPrefix[p], i)
		if !seen[len(p)] {
			seen[len(p)] = true
			x.lengths = append(x.lengths, len(p))
		}
	}
	slices.Sort(x.lengths)
	slices.Reverse(x.lengths)
}

// find returns the number of the last line that matches key.
func (x *index) find(specs []spec, key string, b *budget) (int, bool) {
	best := -1
	// Long prefixes first: policies put special lines last, so that most of
	// the lines with short prefixes need not be tried.
	for _, length := range x.lengths {
		if length > len(key) {
			continue
		}
		if !b.spend(length) {
			return -1, false
		}
		for _, i := range x.byPrefix[key[:length]] {
			if i < best {
				break
			}
			if !b.spend(specs[i].size * len(key)) {
				return -1, false
			}
			if specs[i].matches(key) {
				best = i
				break
			}
		}
	}
	return best, best >= 0
}
