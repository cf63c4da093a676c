package oci

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// FuzzInflate inflates a layer of any bytes, whose frames are looked at before the
// decoder sees them. Reading ends, and the turn is given back.
func FuzzInflate(f *testing.F) {
	for _, wide := range []bool{false, true} {
		window := 1 << 10
		if wide {
			window = 2 * zstdWindowUsual
		}
		var b bytes.Buffer
		z, err := zstd.NewWriter(&b, zstd.WithWindowSize(window))
		if err != nil {
			f.Fatal(err)
		}
		z.Write(bytes.Repeat([]byte("layer"), 1000))
		z.Close()
		f.Add(b.Bytes())
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	z.Write([]byte("layer"))
	z.Close()
	f.Add(append(b.Bytes(), b.Bytes()...))
	f.Add(b.Bytes()[:14]) // ends within its first block
	f.Add([]byte("\x50\x2a\x4d\x18\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, blob []byte) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		large := newTurn()
		r, err := decompress(ctx, bufio.NewReaderSize(bytes.NewReader(blob), 4096), large, "")
		if err != nil {
			return
		}
		io.Copy(io.Discard, io.LimitReader(r, 16<<20))
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		if len(large) != 0 || ctx.Err() != nil {
			t.Errorf("the turn was not given back, or nothing was read: %v", ctx.Err())
		}
	})
}
