package digest

// A Key stands for a digest in a map, of which it has few bytes, since
// repositories have hundreds of thousands: the first 128 bits, which no two files
// have in common.
type Key [16]byte

// Key returns what stands for d.
func (d Digest) Key() Key { return Key(d.sum[:]) }

// A Set is a set of digests.
type Set map[Key]struct{}

// Add puts d into the set.
func (s Set) Add(d Digest) { s[d.Key()] = struct{}{} }

// Has reports whether d is in the set.
func (s Set) Has(d Digest) bool {
	_, ok := s[d.Key()]
	return ok
}
