package erofs

import (
	"context"
	"errors"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
)

// cancelWriter cancels at the first write, and counts what it is given.
type cancelWriter struct {
	cancel  context.CancelFunc
	written int
}

func (w *cancelWriter) Write(b []byte) (int, error) {
	w.cancel()
	w.written += len(b)
	return len(b), nil
}

func TestWriteCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	w := cancelWriter{cancel: cancel}
	opts := Options{Version: V1, Algorithm: digest.SHA512}
	root := largeTree(t, 20000)
	if err := Write(ctx, &w, root, opts); !errors.Is(err, context.Canceled) || w.written > outputSize+2*blockSize {
		t.Errorf("Write cancelled at the first of its writes has written %d bytes, error %v; want no more, context.Canceled", w.written, err)
	}
	if d, err := Digest(ctx, root, opts); !errors.Is(err, context.Canceled) {
		t.Errorf("Digest, cancelled, = %v, %v; want context.Canceled", d, err)
	}
}
