package assemble

import (
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// A Compression is how an initramfs is compressed.
type Compression string

// Compressions that the kernel may be able to read.
const (
	Zstd  Compression = "zstd"
	Gzip  Compression = "gzip"
	Plain Compression = "none"
)

// writer returns a writer that compresses to w. Closing it does not close w. What it
// writes depends on nothing but what is written to it.
func (c Compression) writer(w io.Writer) (io.WriteCloser, error) {
	switch c {
	case Zstd:
		// One goroutine finds matches, the other encodes.
		return zstd.NewWriter(w, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(2))
	case Gzip:
		return gzip.NewWriterLevel(w, gzip.BestSpeed)
	}
	return plain{w}, nil
}

type plain struct{ io.Writer }

func (plain) Close() error { return nil }
