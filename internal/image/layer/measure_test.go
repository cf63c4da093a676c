package layer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
)

// compareMeasured compares what Measure makes of archives with what Apply has
// made of them.
func compareMeasured(t testing.TB, want *tree.Node, wantErr error, archives ...[]byte) {
	t.Helper()
	var m Merger
	var err error
	for _, archive := range archives {
		if err = m.Measure(t.Context(), bytes.NewReader(archive), digest.SHA256, nil); err != nil {
			break
		}
	}
	if (err != nil) != (wantErr != nil) {
		t.Errorf("Measure: %v; Apply: %v", err, wantErr)
		return
	}
	if err != nil {
		return
	}
	if got, want := list(m.Root), list(want); got != want {
		t.Errorf("Measure makes\n%sApply makes\n%s", got, want)
	}
}

func TestMeasureKeeps(t *testing.T) {
	content := strings.Repeat("what is kept\n", 100)
	archive := newBuilder(t).dir("etc").file("etc/kept", content).file("etc/not", content+"x").end()
	kept := map[*tree.Node]*bytes.Buffer{}
	var m Merger
	err := m.Measure(t.Context(), bytes.NewReader(archive), digest.SHA256, func(path string, n *tree.Node) io.Writer {
		if path != "/etc/kept" {
			return nil
		}
		kept[n] = new(bytes.Buffer)
		return kept[n]
	})
	if err != nil {
		t.Fatal(err)
	}
	if b := kept[m.Root.Lookup("etc/kept")]; b == nil || b.String() != content || len(kept) != 1 {
		t.Errorf("Measure kept %v; want /etc/kept", kept)
	}
}

func TestMeasureCanceled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	archive := newBuilder(t).file("a", "a").end()
	if err := new(Merger).Measure(ctx, bytes.NewReader(archive), digest.SHA256, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("Measure, canceled: %v", err)
	}
}

// TestMeasureMemory reads one file of 256 MB.
func TestMeasureMemory(t *testing.T) {
	const size = 256 << 20
	h := raw(func(h []byte) { copy(h[124:], fmt.Sprintf("%011o", size)) })
	archive := io.MultiReader(bytes.NewReader(h), io.LimitReader(zeros{}, size+2*blockSize))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if err := new(Merger).Measure(t.Context(), archive, digest.SHA256, nil); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 4<<20 {
		t.Errorf("%d bytes allocated; want less than 4 MB", got)
	}
}

func TestContents(t *testing.T) {
	large := func(c string) string { return strings.Repeat(c, 1000) }
	archive := newBuilder(t).dir("d").file("d/a", large("a")).link("b", "d/a").file("small", "s").file(".wh.x", large("w")).file("c", large("c")).file("e", large("e")).end()
	var numbers []string
	if err := new(Merger).Measure(t.Context(), bytes.NewReader(archive), digest.SHA256, func(path string, _ *tree.Node) io.Writer {
		numbers = append(numbers, path)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(numbers); got != "[/d/a /c /e]" {
		t.Fatalf("Measure numbers %s", got)
	}
	var a, c bytes.Buffer
	if err := Contents(t.Context(), bytes.NewReader(archive), map[int]io.Writer{0: &a, 1: &c}); err != nil || a.String() != large("a") || c.String() != large("c") {
		t.Errorf("Contents: %v, %.10q and %.10q; want a and c", err, a.String(), c.String())
	}
	if err := Contents(t.Context(), bytes.NewReader(archive), map[int]io.Writer{9: &a}); !errors.Is(err, errTruncated) {
		t.Errorf("Contents of what is not there: %v; want %v", err, errTruncated)
	}
	if err := Contents(t.Context(), bytes.NewReader(archive[:5000]), map[int]io.Writer{1: &a}); !errors.Is(err, errTruncated) {
		t.Errorf("Contents of an archive that was cut: %v; want %v", err, errTruncated)
	}
}
