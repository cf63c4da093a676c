package oci

import (
	"bufio"
	"context"
	"math"

	"github.com/sysupdate-image/sysupdate-image/internal/format/zstdframe"
)

// Inflating a zstd frame takes as much memory as the frame looks back, which is
// 8 MiB at most unless somebody has asked for more (zstd --long). Then it may be
// 128 MiB, and four layers at once would take four times that.
const (
	zstdWindowUsual = 8 << 20
	zstdWindowMax   = 128 << 20 // what zstd(1) takes without --memory
)

// A turn is taken by one layer at a time.
type turn chan struct{}

func newTurn() turn { return make(turn, 1) }

func (t turn) take(ctx context.Context) error {
	select {
	case t <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (t turn) leave() { <-t }

// A windowReader passes on what is compressed with zstd. Before a frame that
// looks back far it waits for its turn, and keeps it until it is closed.
type windowReader struct {
	ctx  context.Context
	in   *bufio.Reader
	turn turn
	has  bool // the turn

	left    uint64 // bytes before the next header
	inFrame bool   // that header is a block's
	sum     uint64 // bytes after the last block
}

func (r *windowReader) Read(p []byte) (int, error) {
	if r.left == 0 {
		if err := r.header(); err != nil {
			return 0, err
		}
	}
	n, err := r.in.Read(p[:min(uint64(len(p)), r.left)])
	r.left -= uint64(n)
	return n, err
}

func (r *windowReader) Close() {
	if r.has {
		r.turn.leave()
		r.has = false
	}
}

// header looks at the header that comes next. If there is none, all that follows
// is passed on.
func (r *windowReader) header() error {
	r.left = math.MaxUint64
	if r.inFrame {
		r.block()
		return nil
	}
	// An error of Peek comes again when the decoder reads.
	b, _ := r.in.Peek(zstdframe.MaxHeader)
	h, err := zstdframe.ParseHeader(b)
	if err != nil {
		return nil
	}
	if r.left = uint64(h.Size); h.Skippable {
		return nil
	}
	r.inFrame, r.sum = true, 0
	if h.Checksum {
		r.sum = 4
	}
	if h.Window <= zstdWindowUsual || r.has {
		return nil
	}
	err = r.turn.take(r.ctx)
	r.has = err == nil
	return err
}

// block looks at the header of a block. What is wrong with it is for the decoder to say.
func (r *windowReader) block() {
	b, err := r.in.Peek(zstdframe.BlockHeader)
	if err != nil {
		return
	}
	block, err := zstdframe.ParseBlock([zstdframe.BlockHeader]byte(b))
	if err != nil {
		return
	}
	if r.left = uint64(block.Size); block.Last {
		r.inFrame = false
		r.left += r.sum
	}
}
