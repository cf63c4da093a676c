package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/repo"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/image/layer"
	"github.com/sysupdate-image/sysupdate-image/internal/image/oci"
)

// openContainer reads the layers of a container image, those that are in the
// repository from there.
func (img *Image) openContainer(ctx context.Context, name string, opts Options) error {
	ref, err := oci.ParseReference(name)
	if err != nil {
		return err
	}
	if alg := opts.fallback(); opts.Algorithm != 0 && opts.Algorithm != alg {
		opts.Repository = nil // its layers have other digests
	} else {
		opts.Algorithm = alg
	}
	img.Algorithm = opts.Algorithm
	if img.OCI, err = oci.Open(ctx, ref, opts.Source); err != nil {
		return err
	}
	img.close = append(img.close, img.OCI.Close)
	img.Name, img.Kind = ref.String(), Container
	k := newKeeper(opts)
	layers := layer.Merger{InOrder: opts.InOrder}
	for _, l := range img.OCI.Layers {
		k.large = append(k.large, nil)
		if err := k.merge(ctx, img.OCI, l, &layers, opts); err != nil {
			return fmt.Errorf("cannot read layer %s: %w", l.Digest, err)
		}
		if opts.AfterLayer != nil {
			opts.AfterLayer(l, layers.Root)
		}
	}
	img.Root, img.Late = layers.Root, layers.Late
	if img.Root == nil {
		return errors.New("image has no layers")
	}
	img.Root.CountLinks()
	contents, err := k.contents(ctx, img, opts)
	if err != nil {
		return err
	}
	img.open = opener(contents, opts.Repository)
	return nil
}

// merge merges a layer over those before it.
func (k *keeper) merge(ctx context.Context, image *oci.Image, l oci.Layer, to *layer.Merger, opts Options) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if repo := opts.Repository; repo != nil && repo.HasStream(layer.StreamName(l.DiffID)) {
		return to.ApplyStored(ctx, repo, l.DiffID)
	}
	tar, err := image.OpenLayer(ctx, l, opts.Progress)
	if err != nil {
		return err
	}
	defer tar.Close()
	return to.Measure(ctx, tar, opts.Algorithm, k.keep)
}

// opener returns a function that opens contents, and what the repository has.
func opener(contents map[*tree.Node][]byte, repo *repo.Repository) func(*tree.Node) (io.ReadCloser, error) {
	fromRepository := objectOpener(repo)
	return func(n *tree.Node) (io.ReadCloser, error) {
		if data, ok := contents[n]; ok {
			return io.NopCloser(bytes.NewReader(data)), nil
		}
		return fromRepository(n)
	}
}
