package cancel

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestReader(t *testing.T) {
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	r := Reader(ctx, strings.NewReader("content"))
	b := make([]byte, 3)
	if n, err := r.Read(b); n != 3 || err != nil {
		t.Errorf("Read = %d, %v; want 3 bytes", n, err)
	}
	cancel(why)
	if rest, err := io.ReadAll(r); len(rest) > 0 || !errors.Is(err, why) {
		t.Errorf("after the context has ended: %q, %v; want nothing and %v", rest, err, why)
	}
}
