package cancel

import (
	"context"
	"errors"
	"io"
	"math"
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

// TestNamesUpTo: of a directory of any size it reads one name more than it may.
func TestNamesUpTo(t *testing.T) {
	const size = 2*namesAtOnce + 1
	for _, tt := range []struct{ most, want int }{
		{0, 1}, {namesAtOnce - 1, namesAtOnce}, {namesAtOnce, namesAtOnce + 1}, {size - 1, size}, {size, size}, {math.MaxInt, size},
	} {
		names, err := NamesUpTo(t.Context(), &directory{left: size}, tt.most)
		if len(names) != tt.want || err != nil {
			t.Errorf("at most %d: %d names, %v; want %d", tt.most, len(names), err, tt.want)
		}
	}
}

// A directory has a number of names, each once.
type directory struct{ left int }

func (d *directory) Readdirnames(n int) ([]string, error) {
	if n <= 0 {
		return nil, errors.New("asked for all names at once")
	}
	if d.left == 0 {
		return nil, io.EOF
	}
	n = min(n, d.left)
	d.left -= n
	return make([]string, n), nil
}
