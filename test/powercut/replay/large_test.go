package replay

import (
	"math/rand/v2"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/test/powercut/writelog"
)

// A sliceDisk is a disk that is written to by offset.
type sliceDisk []byte

func (d sliceDisk) WriteAt(p []byte, off int64) (int, error) { return copy(d[off:], p), nil }

// TestChoose finds all chosen that a part of the log can have left, and nothing
// else.
func TestChoose(t *testing.T) {
	entries := []writelog.Entry{write(0, 2, 'a'), flush, write(1, 2, 'b'), write(3, 1, 'c'), write(0, 1, 'd'), flush, write(2, 2, 'e'), flush}
	seen := map[string]bool{}
	for seed := range uint64(500) {
		c, ok := Choose(entries, oneArea[0], 2, 5, int(seed%20), rand.New(rand.NewPCG(seed, 0)))
		if !ok || c.Durable != 2 || c.At < 2 || c.At > 5 {
			t.Fatalf("Choose = %+v, %v; want entries from 2 to 5", c, ok)
		}
		disk := sliceDisk(blank(4))
		if err := Put(disk, entries, 0, c.Durable); err != nil {
			t.Fatal(err)
		}
		if err := PutPieces(disk, entries, c.Pieces); err != nil {
			t.Fatal(err)
		}
		found := letters(disk)
		if want := disksOf(entries, 4, []Cut{c})[0]; found != want {
			t.Errorf("%v leaves %q; in another way %q", c, found, want)
		}
		seen[found] = true
	}
	// Each of c, d, and either half of b may have arrived or not.
	if len(seen) != 16 {
		t.Errorf("%d contents were chosen; want all 16", len(seen))
	}
}

func TestChooseInAnArea(t *testing.T) {
	entries := []writelog.Entry{write(0, 1, 'a'), flush, write(3, 1, 'b'), write(1, 1, 'c'), flush, write(0, 1, 'd')}
	for seed := range uint64(20) {
		c, ok := Choose(entries, Area{3 * SectorSize, SectorSize}, 0, len(entries), 2, rand.New(rand.NewPCG(seed, 0)))
		if !ok || c.Durable != 2 || c.At != 4 {
			t.Errorf("Choose = %+v, %v; want what is in flight with b", c, ok)
		}
	}
	if c, ok := Choose(entries, Area{2 * SectorSize, SectorSize}, 0, len(entries), 2, rand.New(rand.NewPCG(1, 0))); ok {
		t.Errorf("Choose = %+v; nothing is written there", c)
	}
}
