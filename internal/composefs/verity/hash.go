// Package verity computes fs-verity digests as the kernel does, so that the
// rest of the project never sees a Merkle tree: content goes in, the digest
// that names an object comes out.
package verity

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"fmt"
	"io"
	"sync"

	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
)

const (
	blockSize = 4096 // of data and of the Merkle tree
	logBlock  = 12

	// Of struct fsverity_descriptor in <linux/fsverity.h>.
	descriptorSize = 256

	wide = 8 // blocks that are hashed at once, where the processor can
)

// A Hasher computes the fs-verity digest of what is written to it: blocks of
// 4 KiB, no salt. It holds a few blocks, and one for each level of the Merkle
// tree, at most some dozen KiB, whatever the size of the content.
type Hasher struct {
	algorithm digest.Algorithm
	size      uint64
	pending   []byte // less than a unit of data
	levels    []level
	wide      bool   // hash so many blocks at once
	last      []byte // a block that had to be filled up
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
	return &Hasher{algorithm: alg, wide: alg == digest.SHA512 && hasWide()}
}

// Write adds content. It never returns an error.
func (h *Hasher) Write(p []byte) (int, error) {
	n := len(p)
	h.size += uint64(n)
	unit := blockSize
	if h.wide {
		unit = wide * blockSize
	}
	if len(h.pending) > 0 {
		take := min(unit-len(h.pending), len(p))
		h.pending = append(h.pending, p[:take]...)
		p = p[take:]
		if len(h.pending) < unit {
			return n, nil
		}
		h.addData(h.pending)
		h.pending = h.pending[:0]
	}
	for ; len(p) >= unit; p = p[unit:] {
		h.addData(p[:unit])
	}
	h.pending = append(h.pending, p...)
	return n, nil
}

// addData enters the hashes of a unit of data, or of less if it is the last.
func (h *Hasher) addData(data []byte) {
	if !h.wide || len(data) <= blockSize {
		h.add(0, h.padded(data))
		return
	}
	var sums [wide][sha512.Size]byte
	if len(data) == wide*blockSize {
		sums = sumWide((*[wide * blockSize]byte)(data))
	} else {
		var blocks [wide * blockSize]byte
		copy(blocks[:], data)
		sums = sumWide(&blocks)
	}
	for i := range (len(data) + blockSize - 1) / blockSize {
		h.enter(0, sums[i][:])
	}
}

// add enters the hash of a whole block into a level.
func (h *Hasher) add(n int, block []byte) {
	var sum [sha512.Size]byte
	h.sumOf(&sum, block)
	h.enter(n, sum[:h.algorithm.Size()])
}

// enter enters a hash into a level.
func (h *Hasher) enter(n int, sum []byte) {
	if n == len(h.levels) {
		h.levels = append(h.levels, level{block: make([]byte, 0, blockSize)})
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
func (h *Hasher) Sum() digest.Digest { return h.clone().finish() }

// finish is Sum of a Hasher that is not used any more.
func (h *Hasher) finish() digest.Digest {
	var descriptor [descriptorSize]byte
	descriptor[0] = 1 // version
	descriptor[1] = uint8(h.algorithm)
	descriptor[2] = logBlock
	binary.LittleEndian.PutUint64(descriptor[8:], h.size)
	copy(descriptor[16:80], h.root())

	var sum [sha512.Size]byte
	h.sumOf(&sum, descriptor[:])
	d, err := digest.FromBytes(h.algorithm, sum[:h.algorithm.Size()])
	if err != nil {
		panic(err) // the hash has the size of its own algorithm
	}
	return d
}

// sumOf sets sum to the hash of data.
func (h *Hasher) sumOf(sum *[sha512.Size]byte, data []byte) {
	if h.algorithm == digest.SHA256 {
		*(*[sha256.Size]byte)(sum[:]) = sha256.Sum256(data)
	} else {
		*sum = sha512.Sum512(data)
	}
}

func (h *Hasher) clone() *Hasher {
	c := *h
	c.pending, c.last = bytes.Clone(h.pending), nil
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
	if len(h.pending) > 0 {
		h.addData(h.pending)
	}
	for n := 0; ; n++ {
		l := &h.levels[n]
		if l.hashes == 1 {
			return l.last[:h.algorithm.Size()]
		}
		if len(l.block) > 0 {
			h.add(n+1, h.padded(l.block))
		}
	}
}

// padded returns a whole block, which is valid until the next call: b, with zeros.
func (h *Hasher) padded(b []byte) []byte {
	if len(b) == blockSize {
		return b
	}
	if h.last == nil {
		h.last = make([]byte, blockSize)
	}
	clear(h.last[copy(h.last, b):])
	return h.last
}

// hashers are those that Sum has used: there are many small files.
var hashers sync.Pool

// Sum returns the fs-verity digest of a file with the given content.
func Sum(alg digest.Algorithm, content []byte) digest.Digest {
	h, ok := hashers.Get().(*Hasher)
	if !ok || h.algorithm != alg {
		h = New(alg)
	}
	h.Write(content)
	d := h.finish()
	h.reset()
	hashers.Put(h)
	return d
}

// reset forgets what was written, and keeps the memory.
func (h *Hasher) reset() {
	h.size, h.pending = 0, h.pending[:0]
	for i := range h.levels {
		l := &h.levels[i]
		l.block, l.hashes = l.block[:0], 0
	}
}

// SumReader reads r to its end and returns the fs-verity digest and the number
// of bytes of what it read.
func SumReader(alg digest.Algorithm, r io.Reader) (digest.Digest, int64, error) {
	h := New(alg)
	n, err := io.CopyBuffer(struct{ io.Writer }{h}, r, make([]byte, wide*blockSize))
	if err != nil {
		return digest.Digest{}, n, fmt.Errorf("cannot hash content: %w", err)
	}
	return h.finish(), n, nil
}
