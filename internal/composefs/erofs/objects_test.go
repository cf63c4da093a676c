package erofs

import (
	"bytes"
	"context"
	"errors"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
)

// objectsOf returns what eachObject finds in an image, sorted and once.
func objectsOf(image []byte) ([]digest.Digest, error) {
	var found []digest.Digest
	err := eachObject(context.Background(), bytes.NewReader(image), int64(len(image)), func(d digest.Digest) {
		found = append(found, d)
	})
	return sortedObjects(found), err
}

func sortedObjects(list []digest.Digest) []digest.Digest {
	slices.SortFunc(list, func(a, b digest.Digest) int { return strings.Compare(a.String(), b.String()) })
	return slices.Compact(list)
}

// largeTree returns the tree of largeDump.
func largeTree(t testing.TB, n int) *tree.Node {
	t.Helper()
	root, err := tree.ParseDump(bytes.NewReader(largeDump(n, digest.SHA512)))
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// TestEachObject: the images of the vectors and damaged ones are compared in
// TestReadVectors and TestReadDamaged.
func TestEachObject(t *testing.T) {
	root := largeTree(t, 20000)
	want := sortedObjects(root.Objects())
	for _, version := range []int{V0, V1, V2} {
		got, err := objectsOf(write(t, root, Options{Version: version}))
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("V%d: eachObject gives %d objects, %v; want %d", version, len(got), err, len(want))
		}
	}
}

// TestEachObjectMemory: what is remembered does not grow with the number of files
// as a tree does.
func TestEachObjectMemory(t *testing.T) {
	image := write(t, largeTree(t, benchmarkEntries), Options{Version: V1})
	live := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before, most, n := live(), uint64(0), 0
	err := eachObject(t.Context(), bytes.NewReader(image), int64(len(image)), func(digest.Digest) {
		if n++; n%20000 == 0 {
			most = max(most, live()-before)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d bytes for an image of %d", most, len(image))
	if limit := uint64(len(image)/16 + 1<<20); most > limit {
		t.Errorf("eachObject holds %d bytes for an image of %d: want at most %d", most, len(image), limit)
	}
}

func TestEachObjectCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	image := write(t, largeTree(t, 20000), Options{Version: V1})
	n := 0
	err := eachObject(ctx, bytes.NewReader(image), int64(len(image)), func(digest.Digest) {
		n++
		cancel()
	})
	if !errors.Is(err, context.Canceled) || n > 500 {
		t.Errorf("eachObject gives %v after %d more objects; want it to be cancelled at the next directory", err, n)
	}
}
