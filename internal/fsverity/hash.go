// Package fsverity computes fs-verity digests as the kernel does, so that the
// rest of the project never sees a Merkle tree: content goes in, the digest
// that names an object comes out.
package fsverity

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/sysupdate-image/sysupdate-image/internal/digest"
)

const (
	blockSize = 4096 // of data and of the Merkle tree
	logBlock  = 12

	// Of struct fsverity_descriptor in <linux/fsverity.h>.
	descriptorSize = 256
)

// A Hasher computes the fs-verity digest of what is written to it: blocks of
// 4 KiB, no salt. It holds one block for each level of the Merkle tree, at
// most a few dozen KiB, whatever the size of the content.
type Hasher struct {
	algorithm digest.Algorithm
	size      uint64
	partial   []byte // the beginning of a data block
	levels    []level
	scratch   [sha512.Size]byte
}

// A level of the Merkle tree: hashes of the blocks below it.
type level struct {
	block  []byte // hashes that are not hashed themselves yet
	hashes uint64 // how many were ever added
	last   [sha512.Size]byte
}

// New returns a Hasher that has been given no content. It panics if alg is not
// an algorithm.
func New(alg digest.Algorithm) *Hasher {
	if alg.Size() == 0 {
		panic("fsverity: no hash for " + alg.String())
	}
	return &Hasher{algorithm: alg}
}

// Write adds content. It never returns an error.
func (h *Hasher) Write(p []byte) (int, error) {
	n := len(p)
	h.size += uint64(n)
	if len(h.partial) > 0 {
		take := min(blockSize-len(h.partial), len(p))
		h.partial = append(h.partial, p[:take]...)
		p = p[take:]
		if len(h.partial) < blockSize {
			return n, nil
		}
		h.add(0, h.partial)
		h.partial = h.partial[:0]
	}
	for ; len(p) >= blockSize; p = p[blockSize:] {
		h.add(0, p[:blockSize])
	}
	if len(p) > 0 {
		h.partial = append(h.partial, p...)
	}
	return n, nil
}

// add enters the hash of a whole block into a level.
func (h *Hasher) add(n int, block []byte) {
	if n == len(h.levels) {
		h.levels = append(h.levels, level{block: make([]byte, 0, blockSize)})
	}
	sum := h.scratch[:h.algorithm.Size()]
	if h.algorithm == digest.SHA256 {
		s := sha256.Sum256(block)
		copy(sum, s[:])
	} else {
		s := sha512.Sum512(block)
		copy(sum, s[:])
	}
	l := &h.levels[n]
	copy(l.last[:], sum)
	l.block = append(l.block, sum...)
	l.hashes++
	if len(l.block) == blockSize {
		h.add(n+1, l.block)
		l = &h.levels[n] // add may have moved the levels
		l.block = l.block[:0]
	}
}

// Sum returns the digest of what was written so far. It does not change the
// Hasher: more can be written afterwards.
func (h *Hasher) Sum() digest.Digest {
	var descriptor [descriptorSize]byte
	descriptor[0] = 1 // version
	descriptor[1] = uint8(h.algorithm)
	descriptor[2] = logBlock
	binary.LittleEndian.PutUint64(descriptor[8:], h.size)
	copy(descriptor[16:80], h.clone().root())

	sum := h.algorithm.New()
	sum.Write(descriptor[:])
	d, err := digest.FromBytes(h.algorithm, sum.Sum(nil))
	if err != nil {
		panic(err) // the hash has the size of its own algorithm
	}
	return d
}

func (h *Hasher) clone() *Hasher {
	c := *h
	c.partial = append([]byte(nil), h.partial...)
	c.levels = append([]level(nil), h.levels...)
	for i := range c.levels {
		c.levels[i].block = append(make([]byte, 0, blockSize), h.levels[i].block...)
	}
	return &c
}

// root finishes the tree, which h cannot be used for afterwards, and returns
// the root hash; that of no content is all zeros.
func (h *Hasher) root() []byte {
	if h.size == 0 {
		return nil
	}
	if len(h.partial) > 0 {
		h.add(0, padded(h.partial))
	}
	for n := 0; ; n++ {
		l := &h.levels[n]
		if l.hashes == 1 {
			return l.last[:h.algorithm.Size()]
		}
		if len(l.block) > 0 {
			h.add(n+1, padded(l.block))
		}
	}
}

func padded(b []byte) []byte {
	return append(b, make([]byte, blockSize-len(b))...)
}

// Sum returns the fs-verity digest of a file with the given content.
func Sum(alg digest.Algorithm, content []byte) digest.Digest {
	h := New(alg)
	h.Write(content)
	return h.Sum()
}

// SumReader reads r to its end and returns the fs-verity digest and the number
// of bytes of what it read.
func SumReader(alg digest.Algorithm, r io.Reader) (digest.Digest, int64, error) {
	h := New(alg)
	n, err := io.CopyBuffer(struct{ io.Writer }{h}, r, make([]byte, 128<<10))
	if err != nil {
		return digest.Digest{}, n, fmt.Errorf("cannot hash content: %w", err)
	}
	return h.Sum(), n, nil
}
