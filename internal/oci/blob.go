package oci

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	godigest "github.com/opencontainers/go-digest"
	"go.podman.io/image/v5/docker"
	"go.podman.io/image/v5/pkg/blobinfocache/none"
	"go.podman.io/image/v5/types"
)

// retry says how long a registry is asked again before a blob is given up.
type retry struct {
	attempts int           // without progress
	delay    time.Duration // before the second attempt; doubled for each further one
	stall    time.Duration // without a byte, after which a connection counts as broken
}

// openPatience is how many times longer than for a byte the library has to open
// a blob: it waits itself if the registry says "too many requests".
const openPatience = 3

// progressMin is how much a connection must bring to count as one that works.
const progressMin = 1 << 20

// openBlob returns a reader of a blob that fails, instead of io.EOF, if the
// blob has not the digest and size that it should have. It opens the blob with
// the first read. what is said of the blob in errors.
func (i *Image) openBlob(ctx context.Context, what string, digest godigest.Digest, size int64, progress func(int64)) io.ReadCloser {
	info := types.BlobInfo{Digest: digest, Size: size}
	body := &body{
		ctx:   ctx,
		retry: i.retry,
		open: func(ctx context.Context) (io.ReadCloser, error) {
			if !i.source.HasThreadSafeGetBlob() {
				i.opening.Lock()
				defer i.opening.Unlock()
			}
			r, _, err := i.source.GetBlob(ctx, info, none.NoCache)
			return r, err
		},
		explain: func(err error) error { return explain(i.Reference, err) },
	}
	if i.Reference.Transport() != docker.Transport.Name() {
		body.retry.attempts = 1
	}
	return &blob{body: body, what: what, digest: digest, digester: digest.Algorithm().Digester(), size: size, progress: progress}
}

// A blob is a blob's bytes, verified. Errors stay.
type blob struct {
	body     *body
	what     string
	digest   godigest.Digest
	digester godigest.Digester
	size, n  int64
	progress func(int64)
	err      error
}

func (b *blob) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	n, err := b.body.Read(p)
	b.n += int64(n)
	b.digester.Hash().Write(p[:n])
	if b.progress != nil && n > 0 {
		b.progress(int64(n))
	}
	switch {
	case b.n > b.size:
		b.err = fmt.Errorf("%s%s is longer than the %d bytes that its manifest says", b.what, b.digest, b.size)
	case err == io.EOF:
		b.err = b.end()
	case err != nil:
		b.err = fmt.Errorf("%s%s: %w", b.what, b.digest, err)
	}
	if b.err != nil && b.err != io.EOF {
		return 0, b.err
	}
	return n, b.err
}

// end says how a blob ends whose last byte has been read.
func (b *blob) end() error {
	if b.n < b.size {
		return fmt.Errorf("%s%s is truncated: %d of %d bytes", b.what, b.digest, b.n, b.size)
	}
	if got := b.digester.Digest(); got != b.digest {
		return fmt.Errorf("%s%s has a wrong digest: %s", b.what, b.digest, got)
	}
	return io.EOF
}

func (b *blob) Close() error { return b.body.Close() }

// A body is a blob's bytes as they come. If the connection breaks or stalls, it
// begins another and goes on where it was; the digest tells whether the bytes
// are still the same.
type body struct {
	ctx     context.Context
	open    func(context.Context) (io.ReadCloser, error)
	explain func(error) error
	retry   retry

	conn     io.ReadCloser // nil if there is none
	cancel   context.CancelFunc
	offset   int64 // what has been read
	begun    int64 // offset when conn was opened
	failures int
}

func (b *body) Read(p []byte) (int, error) {
	for {
		n, err := b.read(p)
		b.offset += int64(n)
		if err == nil || err == io.EOF {
			return n, err
		}
		b.drop()
		if err := b.failed(err); err != nil {
			return n, err
		}
		if n > 0 {
			return n, nil
		}
	}
}

func (b *body) read(p []byte) (int, error) {
	if b.conn == nil {
		if err := b.connect(); err != nil {
			return 0, err
		}
	}
	stalled := time.AfterFunc(b.retry.stall, b.cancel)
	n, err := b.conn.Read(p)
	if !stalled.Stop() && err != nil && err != io.EOF {
		err = &stallError{"no data", b.retry.stall}
	} else if err != nil && err != io.EOF {
		err = &brokenError{err}
	}
	return n, err
}

// connect opens the blob and skips what has been read already.
func (b *body) connect() error {
	ctx, cancel := context.WithCancel(b.ctx)
	stalled := time.AfterFunc(openPatience*b.retry.stall, cancel)
	defer stalled.Stop()
	conn, err := b.open(ctx)
	if err != nil {
		cancel()
		return err
	}
	b.conn, b.cancel, b.begun = conn, cancel, b.offset
	stalled.Stop()
	return b.skip(b.offset)
}

// skip reads n bytes that have been read already.
func (b *body) skip(n int64) error {
	buf := make([]byte, 64<<10)
	for n > 0 {
		k, err := b.read(buf[:min(n, int64(len(buf)))])
		n -= int64(k)
		if err == io.EOF && n > 0 {
			err = &brokenError{io.ErrUnexpectedEOF}
		}
		if err != nil && err != io.EOF {
			return err
		}
	}
	return nil
}

// failed waits before the next attempt, or returns an error if there should be
// none.
func (b *body) failed(err error) error {
	if b.ctx.Err() != nil {
		return b.ended()
	}
	if errors.Is(err, context.Canceled) {
		// Nothing else ends a connection before b.ctx does: see connect.
		err = &stallError{"no answer", openPatience * b.retry.stall}
	}
	var broken *brokenError
	if !errors.As(err, &broken) && !isTemporary(err) {
		return b.explain(err)
	}
	if b.offset-b.begun >= progressMin {
		b.failures, b.begun = 0, b.offset
	}
	b.failures++
	if b.failures >= b.retry.attempts {
		return b.explain(err)
	}
	select {
	case <-time.After(b.retry.delay << (b.failures - 1)):
		return nil
	case <-b.ctx.Done():
		return b.ended()
	}
}

// ended says why nothing more is to be read: who stopped it knows that, but that
// the time is over is the registry's doing.
func (b *body) ended() error {
	err := context.Cause(b.ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		return b.explain(err)
	}
	return err
}

func (b *body) drop() {
	if b.conn != nil {
		b.cancel()
		b.conn.Close()
		b.conn = nil
	}
}

func (b *body) Close() error {
	b.drop()
	return nil
}

// A brokenError is that of a connection that broke while a blob was read.
type brokenError struct{ err error }

func (e *brokenError) Error() string { return e.err.Error() }
func (e *brokenError) Unwrap() error { return e.err }

// A stallError says that a registry was given up for the moment. It is a net.Error.
type stallError struct {
	what  string
	after time.Duration
}

func (e *stallError) Error() string { return fmt.Sprintf("%s for %v", e.what, e.after) }
func (*stallError) Timeout() bool   { return true }
func (*stallError) Temporary() bool { return true }
