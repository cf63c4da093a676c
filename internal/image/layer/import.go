package layer

import (
	"context"
	"fmt"
	"io"

	godigest "github.com/opencontainers/go-digest"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/repo"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/stream"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/verity"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
)

// StreamName returns the name that a repository has for the layer with a
// diff_id ("sha256:…").
func StreamName(diffID godigest.Digest) string { return "oci-layer-" + diffID.String() }

// Import reads the archive of a layer to its end and puts it into the
// repository, as a stream with the name of its diff_id and an object for each
// file of more than 64 bytes. It returns the digest of the stream's file, when
// all of it survives a crash.
//
// That the archive has this diff_id is for tar to say, by an error instead of
// io.EOF, as the readers of package oci do. Nothing refers to the objects that
// were written before an error: they are garbage, and welcome to the next try.
func Import(ctx context.Context, tar io.Reader, repo *repo.Repository, diffID godigest.Digest) (digest.Digest, error) {
	stream := stream.NewWriter(repo.Algorithm(), stream.OCILayer)
	if err := split(ctx, tar, stored{repo: repo, write: true}.create, stream); err != nil {
		return digest.Digest{}, fmt.Errorf("cannot import layer %s: %w", diffID, err)
	}
	return repo.PutStream(StreamName(diffID), stream)
}

// ApplyStored merges the layer with a diff_id, which Import or composefs-rs has
// put into the repository, over those before it.
func (m *Merger) ApplyStored(ctx context.Context, repo *repo.Repository, diffID godigest.Digest) error {
	blob, err := repo.OpenStream(StreamName(diffID))
	if err != nil {
		return err
	}
	defer blob.Close()
	if got := blob.ContentType(); got != stream.OCILayer {
		return fmt.Errorf("stream %s holds %q: want a layer", StreamName(diffID), got)
	}
	if m.Measured == nil {
		m.Measured = make(map[digest.Digest]int64)
	}
	if err := m.apply(ctx, blob, stored{repo, m.Expand, m.Measured}); err != nil {
		return fmt.Errorf("layer %s: %w", diffID, err)
	}
	return nil
}

// stored are the objects of a repository, as far as they are written.
type stored struct {
	repo  *repo.Repository
	write bool
	sizes map[digest.Digest]int64 // of those that are only measured
}

func (s stored) open(d digest.Digest) (io.ReadCloser, error) { return s.repo.OpenObject(d) }

func (s stored) create() (object, error) {
	if !s.write {
		return &noted{Hasher: verity.New(s.repo.Algorithm()), sizes: s.sizes}, nil
	}
	o, err := s.repo.NewObject()
	if err != nil {
		return nil, err
	}
	return o, nil
}

// CheckStored puts the archive of a layer that is stored in the repository together
// again and reports whether it has the diff_id, as OpenLayer of package oci does for what
// is fetched: other programs may have given the stream its name.
func CheckStored(ctx context.Context, repo *repo.Repository, stream *stream.Reader, diffID godigest.Digest) error {
	if err := diffID.Validate(); err != nil {
		return fmt.Errorf("layer %q: %w", diffID, err)
	}
	archive := stream.Content(func(d digest.Digest) (io.ReadCloser, error) { return repo.OpenObject(d) })
	defer archive.Close()
	digester := diffID.Algorithm().Digester()
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		_, err := io.CopyN(digester.Hash(), archive, 1<<20)
		if err == io.EOF {
			break
		}
		if err != nil {
			return fmt.Errorf("layer %s: %w", diffID, err)
		}
	}
	if got := digester.Digest(); got != diffID {
		return fmt.Errorf("layer %s: its archive has a wrong diff_id: %s", diffID, got)
	}
	return nil
}
