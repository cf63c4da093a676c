package ui

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/inspect"
)

// TestLayOut: the areas of a map are in proportion to the sizes, inside the map, and apart.
func TestLayOut(t *testing.T) {
	for seed := range uint64(30) {
		r := rand.New(rand.NewPCG(seed, 3))
		var parts []inspect.SizedChange
		total := 0.0
		for i := range 1 + r.IntN(2*mapParts) {
			size := int64(math.Exp(20 * r.Float64()))
			parts = append(parts, inspect.SizedChange{Name: fmt.Sprint(i), New: size})
			total += float64(size)
		}
		slices.SortFunc(parts, func(a, b inspect.SizedChange) int { return int(b.New - a.New) })
		areas := layOut(parts)
		if len(areas) != min(len(parts), mapParts+1) {
			t.Fatalf("seed %d: %d areas of %d parts", seed, len(areas), len(parts))
		}
		for i, a := range areas {
			want := float64(a.part.New) / total * mapWidth * mapHeight
			if math.Abs(a.w*a.h-want) > 1e-6*mapWidth*mapHeight {
				t.Errorf("seed %d: %s has %.3f; want %.3f", seed, a.part.Name, a.w*a.h, want)
			}
			if a.x < -1e-6 || a.y < -1e-6 || a.x+a.w > mapWidth+1e-6 || a.y+a.h > mapHeight+1e-6 {
				t.Errorf("seed %d: %+v is not on the map", seed, a)
			}
			for _, b := range areas[:i] {
				if min(a.x+a.w, b.x+b.w)-max(a.x, b.x) > 1e-6 && min(a.y+a.h, b.y+b.h)-max(a.y, b.y) > 1e-6 {
					t.Errorf("seed %d: %+v lies on %+v", seed, a, b)
				}
			}
		}
	}
	if areas := layOut([]inspect.SizedChange{{Name: "gone", Old: 1}}); areas != nil {
		t.Errorf("what is gone has areas %v", areas)
	}
}

func TestCut(t *testing.T) {
	for room, want := range map[int]string{3: "äb…", 4: "äbcd", 9: "äbcd"} {
		if got := cut("äbcd", room); got != want {
			t.Errorf("cut(äbcd, %d) = %q; want %q", room, got, want)
		}
	}
}
