package oci

import (
	"bufio"
	"context"
	"fmt"
	"io"

	godigest "github.com/opencontainers/go-digest"

	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
)

// OpenLayer returns the tar archive of a layer. Reading it ends with io.EOF only
// if the blob and the archive have the digests and the size that the manifest
// and the configuration say; what is read before that has not been verified.
//
// The blob is inflated in the background, ahead of the reader, and read again
// from where it was if the connection to the registry breaks. progress, if not
// nil, is called there with the number of bytes of the blob that have come
// since its last call. The caller closes the reader.
func (i *Image) OpenLayer(ctx context.Context, l Layer, progress func(int64)) (io.ReadCloser, error) {
	for _, d := range []godigest.Digest{l.Digest, l.DiffID} {
		if err := d.Validate(); err != nil {
			return nil, fmt.Errorf("layer digest %q: %w", d, err)
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	blob := i.openBlob(ctx, "layer ", l.Digest, l.Size, progress)
	ahead := newReadAhead(blob.body, blobBuffers, blobSize, blob.check, cancel)
	a := &archive{ctx: ctx, layer: l, blob: ahead, diff: l.DiffID.Algorithm().Digester(), large: i.large, gzip: i.options.Gzip}
	return newReadAhead(a, aheadBuffers, aheadSize, a.check, cancel), nil
}

// inflatedFree is how large an archive may be whatever there is of its blob.
const inflatedFree = 1 << 30

// checkInflated refuses an archive of n bytes, or more, whose blob has size bytes.
func checkInflated(n, size int64) error {
	if n > inflatedFree && (n-inflatedFree)/limits.Ratio.Value > size {
		return limits.Ratio.Exceeded()
	}
	return nil
}

// An archive is the tar archive in a layer's blob, verified.
type archive struct {
	ctx   context.Context
	layer Layer
	blob  io.ReadCloser
	in    *bufio.Reader // blob
	out   io.ReadCloser // what is compressed in it
	diff  godigest.Digester
	n     int64 // bytes of the archive
	large turn
	gzip  Gzip // the decoder
}

func (a *archive) Read(p []byte) (int, error) {
	if a.out == nil {
		a.in = bufio.NewReaderSize(a.blob, 256<<10)
		out, err := decompress(a.ctx, a.in, a.large, a.gzip)
		if err != nil {
			return 0, a.end(err)
		}
		a.out = out
	}
	n, err := a.out.Read(p)
	a.n += int64(n)
	if err := checkInflated(a.n, a.layer.Size); err != nil {
		return 0, fmt.Errorf("layer %s: %w", a.layer.Digest, err)
	}
	if err != nil {
		err = a.end(err)
	}
	return n, err
}

// end says how an archive ends whose reader has ended with err. All of the blob
// is read first, so that a wrong digest is called so, and not by the nonsense
// that its inflater made of it. The diff_id is left to check.
func (a *archive) end(err error) error {
	if _, blobErr := io.Copy(io.Discard, a.in); blobErr != nil {
		return blobErr
	}
	if err != io.EOF {
		return fmt.Errorf("layer %s: cannot inflate: %w", a.layer.Digest, err)
	}
	return io.EOF
}

// check hashes the archive, and checks its diff_id where it ends.
func (a *archive) check(data []byte, err error) error {
	a.diff.Hash().Write(data)
	if err != io.EOF {
		return err
	}
	if got := a.diff.Digest(); got != a.layer.DiffID {
		return fmt.Errorf("layer %s: its archive has a wrong diff_id: %s, the configuration says %s", a.layer.Digest, got, a.layer.DiffID)
	}
	return io.EOF
}

func (a *archive) Close() error {
	if a.out != nil {
		a.out.Close()
	}
	return a.blob.Close()
}
