package oci

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"

	"github.com/sysupdate-image/sysupdate-image/internal/format/zstdframe"
)

// magics are the first bytes of the compressed formats that layers may come in,
// and of those that people have tried. Media types are not asked: they are
// often wrong, and the diff_id tells in the end.
var magics = []struct{ name, magic string }{
	{"gzip", "\x1f\x8b\x08"},
	{"zstd", zstdframe.Magic},
	{"bzip2", "BZh"},
	{"xz", "\xfd7zXZ\x00"},
}

// decompress returns a reader of what is compressed in r, or of r itself if it is
// not compressed. Of zstd:chunked, only the zstd counts. What takes much memory
// waits for its turn.
func decompress(ctx context.Context, r *bufio.Reader, large turn, decoder Gzip) (io.ReadCloser, error) {
	head, err := r.Peek(6)
	if err != nil && err != io.EOF {
		return nil, err
	}
	switch name := compression(head); name {
	case "":
		return io.NopCloser(r), nil
	case "gzip":
		return decoder.open(r)
	case "zstd":
		// One goroutine inflates already, see readAhead.
		in := &windowReader{ctx: ctx, in: r, turn: large}
		z, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(zstdWindowMax))
		if err != nil {
			return nil, err
		}
		return &zstdFrames{z, in}, nil
	default:
		return nil, fmt.Errorf("compressed with %s: want gzip, zstd or a plain tar archive", name)
	}
}

// zstdFrames reads all frames of a zstd file.
type zstdFrames struct {
	*zstd.Decoder
	in *windowReader
}

func (z *zstdFrames) Close() error {
	z.Decoder.Close()
	z.in.Close()
	return nil
}

func compression(head []byte) string {
	// A skippable frame (RFC 8878, 3.1.2) may also be the first one of a zstd file;
	// of its magic number the lowest four bits are free.
	if len(head) >= 4 && head[0]&0xf0 == 0x50 && string(head[1:4]) == "\x2a\x4d\x18" {
		return "zstd"
	}
	for _, m := range magics {
		if bytes.HasPrefix(head, []byte(m.magic)) {
			return m.name
		}
	}
	return ""
}
