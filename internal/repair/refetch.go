package repair

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/image/layer"
	"github.com/sysupdate-image/sysupdate-image/internal/image/oci"
	"github.com/sysupdate-image/sysupdate-image/internal/update"
)

// A refetch fetches lost layers and documents into the repository again. They are verified
// as in an apply, and atomically replace the damaged ones.
type refetch struct {
	*run
	losses *losses
	source oci.Options
	tell   func(string) // what is being done
	done   bool         // something has come
	failed []error
}

// fetchLosses fetches what is lost from where it came from. It returns whether
// something has come, and why other things have not.
func (r *run) fetchLosses(l *losses, source oci.Options, tell func(string)) (done bool, failed error) {
	f := refetch{run: r, losses: l, source: source, tell: tell}
	for _, what := range l.fetches {
		if r.ctx.Err() != nil {
			break
		}
		if err := f.from(what); err != nil {
			f.failed = append(f.failed, err)
		}
	}
	return f.done, joined(f.failed)
}

// joined returns the errors as one, on one line.
func joined(errs []error) error {
	if len(errs) == 0 {
		return nil
	}
	err := errs[0]
	for _, next := range errs[1:] {
		err = fmt.Errorf("%w; %w", err, next)
	}
	return err
}

// from fetches from one origin what has not come from another meanwhile.
func (f *refetch) from(what fetch) error {
	if what.known && len(f.left(what.layers)) == 0 {
		return nil
	}
	f.tell("Looking for " + what.name())
	img, err := f.open(what.Origin)
	if err != nil {
		return fmt.Errorf("nothing can be fetched from %s: %w", what.name(), err)
	}
	defer img.Close()
	if !what.known {
		if err := what.learn(img); err != nil {
			return err
		}
		what.layers = f.wanted(f.losses, what.documents.layers, true)
	}
	for _, l := range f.left(what.layers) {
		if err := f.layer(img, l); err != nil {
			f.failed = append(f.failed, fmt.Errorf("layer %s cannot be fetched from %s: %w", l.Digest, what.name(), err))
		}
	}
	return f.record(what, img)
}

// open opens the image of an origin, or if that is gone, the one that its tag names now:
// each layer is checked by its own digest.
func (f *refetch) open(o Origin) (*oci.Image, error) {
	ref, err := o.pinned()
	if err != nil {
		return nil, err
	}
	source := f.source
	source.PolicyFile = cmp.Or(source.PolicyFile, o.Policy)
	img, err := oci.Open(f.ctx, ref, source)
	if !errors.Is(err, oci.ErrNotFound) {
		return img, err
	}
	if ref, parseErr := oci.ParseOrigin(o.Reference); parseErr == nil {
		if other, otherErr := oci.Open(f.ctx, ref, source); otherErr == nil {
			return other, nil
		}
	}
	return nil, err
}

// left returns the layers that have not come yet.
func (f *refetch) left(layers []oci.Layer) []oci.Layer {
	var out []oci.Layer
	for _, l := range layers {
		if lost, seen := f.losses.layers[l.DiffID]; lost || !seen {
			out = append(out, l)
		}
	}
	return out
}

// learn takes manifest and configuration from the image itself.
func (what *fetch) learn(img *oci.Image) error {
	if img.ManifestDigest != what.ManifestDigest {
		return fmt.Errorf("%s has moved to another image, and the manifest of %s is lost", what.name(), what.ManifestDigest)
	}
	what.documents.manifest, what.documents.config = img.RawManifest, img.RawConfig
	what.documents.configDigest, what.documents.layers = img.ConfigDigest, img.Layers
	return nil
}

func (f *refetch) layer(img *oci.Image, l oci.Layer) error {
	f.tell("Fetching layer " + l.Digest.String())
	tar, err := img.OpenLayer(f.ctx, l, nil)
	if err != nil {
		return err
	}
	defer tar.Close()
	if _, err := layer.Import(f.ctx, tar, f.repo, l.DiffID); err != nil {
		return err
	}
	f.losses.layers[l.DiffID] = false
	f.done = true
	return nil
}

// record writes manifest and configuration again: they refer to the streams of
// the layers, which may be other files now.
func (f *refetch) record(what fetch, img *oci.Image) error {
	id, err := deployment.ParseID(what.Deployment)
	if err != nil {
		return err
	}
	d := what.documents
	if !what.known {
		d.form = f.formOf(what.Deployment, nil)
	}
	again := &oci.Image{
		Reference: img.Reference, ManifestDigest: what.ManifestDigest, RawManifest: d.manifest,
		ConfigDigest: d.configDigest, RawConfig: d.config, Layers: d.layers,
	}
	if err := update.RecordImage(again, f.repo, id, d.form); err != nil {
		return fmt.Errorf("cannot record the image of deployment %s: %w", id.Short(), err)
	}
	f.done = true
	return nil
}
