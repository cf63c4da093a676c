package inflate

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"errors"
	"io"
	"math/rand/v2"
	"runtime"
	"testing"
	"testing/iotest"
)

// TestReaders has the ways of reading give the same, and io's own test of readers.
func TestReaders(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	text := bytes.Repeat(randomText(r), 3)
	w.Write(text)
	w.Close()
	o := Options{Format: Gzip}
	if err := iotest.TestReader(NewReader(bytes.NewReader(b.Bytes()), o), text); err != nil {
		t.Error(err)
	}
	var out bytes.Buffer
	z := NewReader(&b, o)
	head := make([]byte, 10)
	if _, err := io.ReadFull(z, head); err != nil {
		t.Fatal(err)
	}
	if n, err := z.WriteTo(&out); err != nil || n != int64(len(text)-10) || !bytes.Equal(out.Bytes(), text[10:]) {
		t.Errorf("WriteTo after 10 bytes: %d, %v; want the other %d", n, err, len(text)-10)
	}
}

// TestLimit reads as much as the limit allows, and no more.
func TestLimit(t *testing.T) {
	data := zeros()
	for _, limit := range []int64{1, 1000, outLimit, 1 << 20, 32<<20 - 1} {
		n, err := io.Copy(io.Discard, NewReader(bytes.NewReader(data), Options{Limit: limit}))
		if n != limit || !errors.Is(err, ErrLimit) {
			t.Errorf("limit %d: %d bytes, %v", limit, n, err)
		}
	}
	if n, err := io.Copy(io.Discard, NewReader(bytes.NewReader(data), Options{Limit: 32 << 20})); n != 32<<20 || err != nil {
		t.Errorf("limit of just as much: %d bytes, %v", n, err)
	}
}

// TestPanics has a mistake of this package become an error, and one of the source not.
func TestPanics(t *testing.T) {
	z := NewReader(bytes.NewReader(zeros()), Options{})
	if _, err := z.Next(); err != nil {
		t.Fatal(err)
	}
	z.codes = nil
	z.lazy = 1
	internal := (*InternalError)(nil)
	for range 2 {
		if _, err := io.Copy(io.Discard, z); !errors.As(err, &internal) {
			t.Errorf("error %v; want an InternalError", err)
		}
	}
	defer func() {
		if v := recover(); v != "source" {
			t.Errorf("recovered %v; want the panic of the source", v)
		}
	}()
	NewReader(readerFunc(func([]byte) (int, error) { panic("source") }), Options{}).Next()
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// TestBadSources has sources that break the rules of io.Reader.
func TestBadSources(t *testing.T) {
	tests := map[string]struct {
		n    int
		want error
	}{"too many": {1 << 20, errCount}, "negative": {-1, errCount}, "nothing": {0, io.ErrNoProgress}}
	for name, tt := range tests {
		z := NewReader(readerFunc(func([]byte) (int, error) { return tt.n, nil }), Options{})
		if _, err := z.Next(); err != tt.want {
			t.Errorf("%s: error %v, want %v", name, err, tt.want)
		}
	}
}

// TestRest finds what follows a stream.
func TestRest(t *testing.T) {
	data := append(hostile()["long codes"], "what follows"...)
	z := NewReader(bytes.NewReader(data), Options{})
	if _, err := z.WriteTo(io.Discard); err != nil {
		t.Fatal(err)
	}
	if got := string(z.Buffered()); got != "what follows" || z.InputOffset() != int64(len(data)-len(got)) {
		t.Errorf("after the end: %q at %d", got, z.InputOffset())
	}
}

// TestWaiting hands out what has been decoded before it waits for more input.
func TestWaiting(t *testing.T) {
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, 6)
	if err != nil {
		t.Fatal(err)
	}
	w.Write([]byte("at once"))
	w.Flush()
	in, out := io.Pipe()
	defer out.Close()
	go out.Write(b.Bytes())
	if got, err := NewReader(in, Options{}).Next(); string(got) != "at once" || err != nil {
		t.Errorf("Next = %q, %v", got, err)
	}
}

// TestMemory reads without allocating.
func TestMemory(t *testing.T) {
	streams := hostile()
	z := NewReader(bytes.NewReader(streams["long codes"]), Options{})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for _, data := range streams {
		z.Reset(bytes.NewReader(data), Options{})
		for {
			if _, err := z.Next(); err != nil {
				break
			}
		}
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 4096 {
		t.Errorf("%d bytes were allocated", n)
	}
}
