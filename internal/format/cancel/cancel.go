// Package cancel makes long work on a stream or a directory stop when a context ends.
package cancel

import (
	"context"
	"io"
)

// Reader returns r until ctx ends; then reading gives the cause of that, see
// context.Cause.
func Reader(ctx context.Context, r io.Reader) io.Reader { return reader{ctx, r} }

type reader struct {
	ctx context.Context
	r   io.Reader
}

func (c reader) Read(b []byte) (int, error) {
	if c.ctx.Err() != nil {
		return 0, context.Cause(c.ctx)
	}
	return c.r.Read(b)
}

// Err returns the cause if ctx has ended, see context.Cause, and nil if not.
func Err(ctx context.Context) error {
	if ctx.Err() == nil {
		return nil
	}
	return context.Cause(ctx)
}
