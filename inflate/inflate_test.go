package inflate

import (
	"flag"
	"math/rand/v2"
	"testing"
)

var cases = flag.Int("cases", 600, "how many random streams to compare")

// TestSame compares this package with compress/flate and compress/gzip.
func TestSame(t *testing.T) {
	z := new(Reader)
	for seed := range uint64(*cases) {
		r := rand.New(rand.NewPCG(seed, 1))
		if err := compare(z, randomInput(r), r); err != nil {
			t.Fatalf("stream %d: %v", seed, err)
		}
	}
}

// FuzzSame compares any bytes, and a random stream.
func FuzzSame(f *testing.F) {
	r := rand.New(rand.NewPCG(1, 2))
	for seed := range uint64(20) {
		if data := randomInput(r); len(data) < 1000 {
			f.Add(data, seed)
		}
	}
	z := new(Reader)
	f.Fuzz(func(t *testing.T, data []byte, seed uint64) {
		r := rand.New(rand.NewPCG(seed, uint64(len(data))))
		if err := compare(z, data, r); err != nil {
			t.Error(err)
		}
		if err := compare(z, randomInput(r), r); err != nil {
			t.Error(err)
		}
	})
}
