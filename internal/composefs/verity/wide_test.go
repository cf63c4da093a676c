package verity

import (
	"crypto/sha512"
	"math/rand/v2"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
)

// TestSumWide compares with the standard library, for blocks of random bytes
// and of those that carry in every addition.
func TestSumWide(t *testing.T) {
	if !hasWide() {
		t.Skip("this processor has no AVX-512")
	}
	random := rand.NewChaCha8([32]byte{1})
	for n := range 200 {
		var data [wide * blockSize]byte
		random.Read(data[:])
		if n < 2 {
			for i := range data {
				data[i] = -byte(n)
			}
		}
		for i, got := range sumWide(&data) {
			if want := sha512.Sum512(data[i*blockSize : (i+1)*blockSize]); got != want {
				t.Fatalf("round %d, block %d: %x; want %x", n, i, got, want)
			}
		}
	}
}

// TestWideIsTheSame hashes contents of all lengths around what is hashed at
// once, in writes of random sizes, both ways.
func TestWideIsTheSame(t *testing.T) {
	if !hasWide() {
		t.Skip("this processor has no AVX-512")
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		data := make([]byte, random.IntN(40*blockSize))
		for i := range data {
			data[i] = byte(random.Uint32())
		}
		one, many := New(digest.SHA512), New(digest.SHA512)
		one.wide = false
		one.Write(data)
		for rest := data; len(rest) > 0; {
			n := 1 + random.IntN(len(rest))
			many.Write(rest[:n])
			rest = rest[n:]
		}
		if got, want := many.Sum(), one.Sum(); got != want {
			t.Fatalf("%d bytes: %s; want %s", len(data), got, want)
		}
	}
}
