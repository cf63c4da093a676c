package durable

import (
	"context"

	"github.com/sysupdate-image/sysupdate-image/internal/format/cancel"
)

// Until returns fsys as an FS that removes nothing more once ctx has ended: the
// error is then the cause. It makes RemoveAll of a large directory stop.
func Until(ctx context.Context, fsys FS) FS { return until{fsys, ctx} }

type until struct {
	FS
	ctx context.Context
}

func (u until) Remove(name string) error {
	if err := cancel.Err(u.ctx); err != nil {
		return err
	}
	return u.FS.Remove(name)
}

func (u until) RemoveTree(_ context.Context, name string, step Step) error {
	return u.FS.RemoveTree(u.ctx, name, step)
}
