// Package digest has the fs-verity digests that name everything in a repository, so that no
// other package handles hexadecimal text or mixes up hash algorithms.
package digest

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"hash"
)

// An Algorithm is a hash algorithm of fs-verity, by its number in
// <linux/fsverity.h>.
type Algorithm uint8

// The algorithms that fs-verity has.
const (
	SHA256 Algorithm = 1 // FS_VERITY_HASH_ALG_SHA256
	SHA512 Algorithm = 2 // FS_VERITY_HASH_ALG_SHA512
)

// ParseAlgorithm returns the algorithm called "sha256" or "sha512".
func ParseAlgorithm(name string) (Algorithm, error) {
	switch name {
	case "sha256":
		return SHA256, nil
	case "sha512":
		return SHA512, nil
	}
	return 0, fmt.Errorf("unknown hash algorithm %q: want sha256 or sha512", name)
}

// String returns "sha256" or "sha512".
func (a Algorithm) String() string {
	switch a {
	case SHA256:
		return "sha256"
	case SHA512:
		return "sha512"
	}
	return fmt.Sprintf("algorithm %d", uint8(a))
}

// Name returns the name that a repository's meta.json and the kernel argument
// composefs.digest= have for the algorithm with blocks of 4 KiB, such as
// "fsverity-sha512-12".
func (a Algorithm) Name() string {
	return "fsverity-" + a.String() + "-12"
}

// New returns a hash of the algorithm. It panics if a is not an algorithm.
func (a Algorithm) New() hash.Hash {
	switch a {
	case SHA256:
		return sha256.New()
	case SHA512:
		return sha512.New()
	}
	panic("digest: no hash for " + a.String())
}

// Size returns the length of a digest in bytes: 32, 64, or 0 if a is not an
// algorithm.
func (a Algorithm) Size() int {
	switch a {
	case SHA256:
		return sha256.Size
	case SHA512:
		return sha512.Size
	}
	return 0
}

// A Digest is an fs-verity digest with its algorithm. Digests can be compared
// with ==. The zero Digest stands for "none".
type Digest struct {
	algorithm Algorithm
	sum       [sha512.Size]byte
}

// FromBytes returns the digest with the given bytes, or an error if there are
// not as many as the algorithm has.
func FromBytes(a Algorithm, sum []byte) (Digest, error) {
	if a.Size() == 0 {
		return Digest{}, fmt.Errorf("unknown hash %s", a)
	}
	if len(sum) != a.Size() {
		return Digest{}, fmt.Errorf("%s digest has %d bytes: want %d", a, len(sum), a.Size())
	}
	d := Digest{algorithm: a}
	copy(d.sum[:], sum)
	return d, nil
}

// Parse returns the digest that s spells in lower-case hexadecimal. Its length
// tells the algorithm: 64 characters for SHA-256, 128 for SHA-512.
func Parse(s string) (Digest, error) {
	var a Algorithm
	switch len(s) {
	case 2 * sha256.Size:
		a = SHA256
	case 2 * sha512.Size:
		a = SHA512
	default:
		return Digest{}, fmt.Errorf("digest %q has %d characters: want 64 or 128", s, len(s))
	}
	d := Digest{algorithm: a}
	if _, err := hex.Decode(d.sum[:], []byte(s)); err != nil {
		return Digest{}, fmt.Errorf("digest %q: %w", s, err)
	}
	if d.String() != s {
		return Digest{}, fmt.Errorf("digest %q is not in lower case", s)
	}
	return d, nil
}

// Algorithm returns the algorithm of d, 0 for the zero Digest.
func (d Digest) Algorithm() Algorithm { return d.algorithm }

// Bytes returns the digest's bytes, none for the zero Digest.
func (d Digest) Bytes() []byte { return d.sum[:d.algorithm.Size()] }

// IsZero reports whether d stands for "none".
func (d Digest) IsZero() bool { return d.algorithm == 0 }

// String returns the digest in lower-case hexadecimal, without a prefix.
func (d Digest) String() string { return hex.EncodeToString(d.Bytes()) }

// ObjectPath returns where a repository keeps the object with this digest,
// relative to objects/: two characters, a slash and the rest.
func (d Digest) ObjectPath() string {
	s := d.String()
	if len(s) < 2 {
		return ""
	}
	return s[:2] + "/" + s[2:]
}
