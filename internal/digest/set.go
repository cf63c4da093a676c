package digest

// A Set is a set of digests. It has few bytes for each, since repositories have
// hundreds of thousands: the first 128 bits stand for all of them, which no two
// files have in common.
type Set map[[16]byte]struct{}

// Add puts d into the set.
func (s Set) Add(d Digest) { s[[16]byte(d.sum[:])] = struct{}{} }

// Has says whether d is in the set.
func (s Set) Has(d Digest) bool {
	_, ok := s[[16]byte(d.sum[:])]
	return ok
}
