package oci

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"github.com/klauspost/compress/zstd"
)

// framesOf compresses each of parts into a frame that looks back so far.
func framesOf(t *testing.T, window int, parts ...[]byte) []byte {
	t.Helper()
	z, err := zstd.NewWriter(nil, zstd.WithWindowSize(window))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	for _, p := range parts {
		z.Reset(&out)
		if _, err := z.Write(p); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return out.Bytes()
}

// TestWindows: a layer has its turn from the first frame on that looks back far,
// wherever that is.
func TestWindows(t *testing.T) {
	data := []byte(random(20 << 20))
	copy(data[3<<20:], make([]byte, 2<<20)) // blocks that repeat a byte
	skip := []byte("\x50\x2a\x4d\x18\x04\x00\x00\x00more")
	usual, far := framesOf(t, 8<<20, data, data[:1000], nil), framesOf(t, 32<<20, data)
	tests := []struct {
		name string
		blob []byte
		want bool
	}{
		{"usual", usual, false},
		{"usual, with skippable frames", bytes.Join([][]byte{usual, skip, usual, skip}, nil), false},
		{"far", far, true},
		{"far, after others", bytes.Join([][]byte{usual, skip, far, usual}, nil), true},
	}
	for _, tt := range tests {
		large := newTurn()
		for name, r := range map[string]io.Reader{"": bytes.NewReader(tt.blob), ", in pieces": iotest.HalfReader(bytes.NewReader(tt.blob))} {
			z, err := decompress(t.Context(), bufio.NewReaderSize(r, 4096), large, "")
			if err != nil {
				t.Fatal(err)
			}
			n, err := io.Copy(io.Discard, z)
			if got := len(large) > 0; err != nil || got != tt.want || n < int64(len(data)) {
				t.Errorf("%s%s: %d bytes, %v, has the turn: %t; want %t", tt.name, name, n, err, got, tt.want)
			}
			if z.Close(); len(large) > 0 {
				t.Errorf("%s%s: has the turn still when it is closed", tt.name, name)
			}
		}
	}
}

func TestWindowWaits(t *testing.T) {
	large := newTurn()
	if err := large.take(t.Context()); err != nil {
		t.Fatal(err)
	}
	blob := framesOf(t, 32<<20, make([]byte, 40<<20))
	ctx, cancel := context.WithCancel(t.Context())
	read := make(chan error)
	inflated := func() {
		z, err := decompress(ctx, bufio.NewReader(bytes.NewReader(blob)), large, "")
		if err == nil {
			_, err = io.Copy(io.Discard, z)
			z.Close()
		}
		read <- err
	}
	go inflated()
	select {
	case err := <-read:
		t.Fatalf("read to its end while it is another's turn: %v", err)
	default:
	}
	large.leave()
	if err := <-read; err != nil {
		t.Fatal(err)
	}
	if err := large.take(t.Context()); err != nil {
		t.Fatal(err)
	}
	go inflated()
	cancel()
	if err := <-read; !errors.Is(err, context.Canceled) {
		t.Errorf("error %v; want that it is cancelled", err)
	}
}
