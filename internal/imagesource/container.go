package imagesource

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs"
	"github.com/sysupdate-image/sysupdate-image/internal/layer"
	"github.com/sysupdate-image/sysupdate-image/internal/oci"
	"github.com/sysupdate-image/sysupdate-image/internal/store"
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
	k := keeper{files: make(map[string]*kept)}
	for _, l := range img.OCI.Layers {
		k.large = append(k.large, nil)
		if img.Root, err = k.merge(ctx, img.OCI, l, img.Root, opts); err != nil {
			return fmt.Errorf("cannot read layer %s: %w", l.Digest, err)
		}
	}
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

// merge merges a layer into a tree.
func (k *keeper) merge(ctx context.Context, image *oci.Image, l oci.Layer, root *composefs.Node, opts Options) (*composefs.Node, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if repo := opts.Repository; repo != nil && repo.HasStream(layer.StreamName(l.DiffID)) {
		return layer.ApplyStored(ctx, root, repo, l.DiffID)
	}
	tar, err := image.OpenLayer(ctx, l, opts.Progress)
	if err != nil {
		return nil, err
	}
	defer tar.Close()
	return layer.Measure(ctx, root, tar, opts.Algorithm, k.keep)
}

// opener returns a function that opens contents, and what the repository has.
func opener(contents map[*composefs.Node][]byte, repo *store.Repository) func(*composefs.Node) (io.ReadCloser, error) {
	fromRepository := objectOpener(repo)
	return func(n *composefs.Node) (io.ReadCloser, error) {
		if data, ok := contents[n]; ok {
			return io.NopCloser(bytes.NewReader(data)), nil
		}
		return fromRepository(n)
	}
}
