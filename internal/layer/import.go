package layer

import (
	"context"
	"fmt"
	"io"

	godigest "github.com/opencontainers/go-digest"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs"
	"github.com/sysupdate-image/sysupdate-image/internal/digest"
	"github.com/sysupdate-image/sysupdate-image/internal/splitstream"
	"github.com/sysupdate-image/sysupdate-image/internal/store"
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
func Import(ctx context.Context, tar io.Reader, repo *store.Repository, diffID godigest.Digest) (digest.Digest, error) {
	stream := splitstream.NewWriter(repo.Algorithm(), splitstream.OCILayer)
	newObject := func() (object, error) {
		o, err := repo.NewObject()
		if err != nil {
			return nil, err
		}
		return o, nil
	}
	if err := split(ctx, tar, newObject, stream); err != nil {
		return digest.Digest{}, fmt.Errorf("cannot import layer %s: %w", diffID, err)
	}
	return repo.PutStream(StreamName(diffID), stream)
}

// ApplyStored merges the layer with a diff_id, which Import or composefs-rs has
// put into the repository, into the tree root as Apply does.
func ApplyStored(root *composefs.Node, repo *store.Repository, diffID godigest.Digest) (*composefs.Node, error) {
	stream, err := repo.OpenStream(StreamName(diffID))
	if err != nil {
		return nil, err
	}
	defer stream.Close()
	if got := stream.ContentType(); got != splitstream.OCILayer {
		return nil, fmt.Errorf("stream %s holds %q: want a layer", StreamName(diffID), got)
	}
	root, err = Apply(root, stream)
	if err != nil {
		return nil, fmt.Errorf("layer %s: %w", diffID, err)
	}
	return root, nil
}
