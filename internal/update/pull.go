package update

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/repo"
	"github.com/sysupdate-image/sysupdate-image/internal/format/bug"
	"github.com/sysupdate-image/sysupdate-image/internal/image/layer"
	"github.com/sysupdate-image/sysupdate-image/internal/image/oci"
)

// layersAtOnce is how many layers are fetched side by side: enough to keep the
// processors inflating while others wait for the network.
const layersAtOnce = 4

// missing returns the layers of an image that the repository does not have,
// each once.
func missing(img *oci.Image, repo *repo.Repository) []oci.Layer {
	var out []oci.Layer
	seen := make(map[string]bool)
	for _, l := range img.Layers {
		name := layer.StreamName(l.DiffID)
		if !seen[name] && !repo.HasStream(name) {
			out = append(out, l)
		}
		seen[name] = true
	}
	return out
}

// bytesOf returns what layers weigh on the wire.
func bytesOf(layers []oci.Layer) (total int64) {
	for _, l := range layers {
		total += max(l.Size, 0)
	}
	return total
}

// pull brings layers into the repository, several at once. What has come when
// one of them fails stays and is not fetched again.
func pull(ctx context.Context, img *oci.Image, layers []oci.Layer, repo *repo.Repository, r Reporter) error {
	if len(layers) == 0 {
		return nil
	}
	r.Fetching(len(layers), bytesOf(layers))
	defer r.FetchDone()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(layersAtOnce)
	// Largest first, so that none is left to the end when the others are done.
	slices.SortStableFunc(layers, func(a, b oci.Layer) int { return cmp.Compare(b.Size, a.Size) })
	for _, l := range layers {
		group.Go(func() error {
			if err := bug.Catch(func() error { return pullLayer(ctx, img, l, repo, r) }); err != nil {
				if lost, ok := errors.AsType[*oci.BlobError](err); ok {
					err = lost.Err
				}
				return fmt.Errorf("cannot fetch layer %s: %w", l.Digest, err)
			}
			return nil
		})
	}
	return group.Wait()
}

func pullLayer(ctx context.Context, img *oci.Image, l oci.Layer, repo *repo.Repository, r Reporter) error {
	fetched := r.Fetched
	if layers, ok := r.(LayerReporter); ok {
		fetched = layers.OfLayer(l.Digest.String(), l.Size)
	}
	tar, err := img.OpenLayer(ctx, l, fetched)
	if err != nil {
		return err
	}
	defer tar.Close()
	if _, err = layer.Import(ctx, tar, repo, l.DiffID); err == nil {
		r.FetchedLayer(l.Size)
	}
	return err
}
