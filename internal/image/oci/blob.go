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

	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
)

// retry says how long a registry is asked again before a blob is given up.
type retry struct {
	attempts int           // without progress
	delay    time.Duration // before the second attempt; doubled for each further one
	stall    time.Duration // without a byte, after which a connection counts as broken
	slow     time.Duration // after which it does as well if too little came
}

// patient is how often and how long a registry is asked, unless a test has less time.
var patient = retry{attempts: 5, delay: time.Second, stall: time.Minute, slow: limits.RateWindow.Duration()}

// moreIfTooMany is how many more attempts there are if a registry is asked too often:
// that is nothing that is broken.
const moreIfTooMany = 2

// maxDelay is the longest pause between two attempts that the registry does not ask for.
const maxDelay = 16 * time.Second

// enough reports whether nothing is asked again after so many failures, the last of which
// was err, or since that one wants more patience than there is, or has no end.
func (r retry) enough(failures int, err error) bool {
	attempts := r.attempts
	if isTooMany(err) {
		attempts += moreIfTooMany
	}
	if status, ok := errors.AsType[*statusError](err); ok {
		_, endless := errors.AsType[*limits.Error](err)
		return failures >= attempts || endless || status.after > openPatience*r.stall
	}
	return failures >= attempts
}

// wait waits before the next attempt, as long as the registry has said in err if it
// has. It returns false if ctx ends.
func (r retry) wait(ctx context.Context, failures int, err error) bool {
	delay := min(r.delay<<(failures-1), maxDelay)
	if status := (*statusError)(nil); errors.As(err, &status) {
		delay = max(delay, status.after)
	}
	select {
	case <-time.After(delay):
		return true
	case <-ctx.Done():
		return false
	}
}

// openPatience is how many times longer than for a byte the library has to open
// a blob: it waits itself if the registry says "too many requests".
const openPatience = 3

// progressMin is how much a connection must bring to count as one that works.
const progressMin = 1 << 20

// openBlob returns a reader of a blob that fails, instead of io.EOF, if the
// blob has not the digest and size that it should have. It opens the blob with
// the first read. what is said of the blob in errors.
func (i *Image) openBlob(ctx context.Context, what string, digest godigest.Digest, size int64, progress func(int64)) *blob {
	info := types.BlobInfo{Digest: digest, Size: size}
	body := &body{
		ctx:   ctx,
		retry: i.retry,
		open: func(ctx context.Context, offset int64) (io.ReadCloser, int64, error) {
			if s, ok := i.source.(*registrySource); ok {
				return s.open(ctx, info, offset)
			}
			if err := i.checkBlob(digest); err != nil {
				return nil, 0, err
			}
			if !i.source.HasThreadSafeGetBlob() {
				i.opening.Lock()
				defer i.opening.Unlock()
			}
			r, _, err := i.source.GetBlob(ctx, info, none.NoCache)
			return r, 0, err
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
	b.err = b.check(p[:n], err)
	if b.err != nil && b.err != io.EOF {
		return 0, b.err
	}
	return n, b.err
}

// check hashes what has been read of the body, and says how the blob goes on where the body
// had err.
func (b *blob) check(data []byte, err error) error {
	b.n += int64(len(data))
	b.digester.Hash().Write(data)
	if b.progress != nil && len(data) > 0 {
		b.progress(int64(len(data)))
	}
	switch {
	case b.n > b.size:
		return fmt.Errorf("%s%s is longer than the %d bytes that its manifest says", b.what, b.digest, b.size)
	case err == io.EOF:
		return b.end()
	case err != nil:
		return &BlobError{b.what + b.digest.String(), err}
	}
	return nil
}

// A BlobError is why the rest of a blob does not come. It is passed on by all that reads the
// blob, which is no reason for it.
type BlobError struct {
	what string
	Err  error
}

func (e *BlobError) Error() string { return e.what + ": " + e.Err.Error() }
func (e *BlobError) Unwrap() error { return e.Err }

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
	open    func(ctx context.Context, offset int64) (conn io.ReadCloser, start int64, err error) // start is offset or less
	explain func(error) error
	retry   retry

	conn     io.ReadCloser // nil if there is none
	cancel   context.CancelFunc
	offset   int64 // what has been read
	begun    int64 // offset when conn was opened
	failures int
	pace     pace
}

func (b *body) Read(p []byte) (int, error) {
	for {
		if b.ctx.Err() != nil { // which reading a file does not notice
			return 0, b.ended()
		}
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
	begun := time.Now()
	n, err := b.conn.Read(p)
	b.pace.add(n, time.Since(begun))
	switch {
	case err == io.EOF:
	case !stalled.Stop() && err != nil:
		err = &stallError{"no data", b.retry.stall}
	case err != nil:
		err = &brokenError{err}
	case b.pace.tooSlow(b.retry.slow):
		err = &stallError{"less than " + limits.Rate.String(), b.retry.slow}
	}
	return n, err
}

// A pace is how fast something comes, without the time in which nobody waits for it.
type pace struct {
	bytes  int64
	waited time.Duration
}

func (p *pace) add(n int, waited time.Duration) {
	p.bytes += int64(n)
	p.waited += waited
}

// tooSlow says, at the end of each window of waiting, whether too little came in it.
func (p *pace) tooSlow(window time.Duration) bool {
	if p.waited < window {
		return false
	}
	slow := limits.Rate.Check(int64(float64(p.bytes)/p.waited.Seconds())) != nil
	*p = pace{}
	return slow
}

// connect opens the blob, and skips what comes that has been read already.
func (b *body) connect() error {
	ctx, cancel := context.WithCancel(b.ctx)
	stalled := time.AfterFunc(openPatience*b.retry.stall, cancel)
	defer stalled.Stop()
	conn, start, err := b.open(ctx, b.offset)
	if err != nil {
		cancel()
		return err
	}
	b.conn, b.cancel, b.begun, b.pace = conn, cancel, b.offset, pace{}
	stalled.Stop()
	return b.skip(b.offset - start)
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
	if b.retry.enough(b.failures, err) {
		return b.explain(err)
	}
	if !b.retry.wait(b.ctx, b.failures, err) {
		return b.ended()
	}
	return nil
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
