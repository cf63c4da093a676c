package oci

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	godigest "github.com/opencontainers/go-digest"
	imgspec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
)

// sbomTypes are the types of SBOMs that are read, as artifacts and as their layers.
var sbomTypes = []string{"application/spdx+json", "application/vnd.cyclonedx+json"}

// maxSBOMs is how many artifacts of an image are looked at.
const maxSBOMs = 16

// SBOM returns the software bill of materials that the image's registry has for a manifest in
// the same repository, "" for that of the image: the first of its referrers that is one. It is
// nil if there is none, or the image is not in a registry. Its digest is checked, and no signature:
// it only informs people.
func (i *Image) SBOM(ctx context.Context, manifestDigest string) ([]byte, error) {
	source, ok := i.source.(*registrySource)
	if !ok {
		return nil, nil
	}
	ctx, cancel := i.inTime(ctx)
	defer cancel()
	d := godigest.Digest(manifestDigest)
	if manifestDigest == "" {
		d = godigest.Digest(i.ManifestDigest)
	}
	if err := d.Validate(); err != nil {
		return nil, fmt.Errorf("digest %q: %w", d, err)
	}
	data, err := source.endpoints[0].sbom(ctx, d)
	if err != nil {
		return nil, fmt.Errorf("cannot read the SBOM of %s: %w", i.Reference, err)
	}
	return data, nil
}

func (e *endpoint) sbom(ctx context.Context, d godigest.Digest) ([]byte, error) {
	referrers, err := e.referrers(ctx, d)
	if err != nil {
		return nil, err
	}
	for _, r := range referrers[:min(len(referrers), maxSBOMs)] {
		if !isSBOM(r.ArtifactType) {
			continue
		}
		if err := r.Digest.Validate(); err != nil {
			return nil, fmt.Errorf("digest %q: %w", r.Digest, err)
		}
		raw, _, err := e.manifest(ctx, r.Digest.String())
		if err == nil {
			err = sameDigest("manifest", raw, r.Digest)
		}
		var m imgspec.Manifest
		if err == nil {
			err = json.Unmarshal(raw, &m)
		}
		if err != nil {
			return nil, err
		}
		if m.Subject == nil || m.Subject.Digest != d {
			continue // of another image, whatever the list of the registry says
		}
		if len(m.Layers) > 0 && isSBOM(m.Layers[0].MediaType) {
			return e.whole(ctx, m.Layers[0].Digest, limits.SBOM)
		}
	}
	return nil, nil
}

func isSBOM(mediaType string) bool { return slices.Contains(sbomTypes, mediaType) }

// referrers returns the artifacts that refer to a manifest: by the API of registries for this,
// or, where there is none, by the tag that stands for it.
func (e *endpoint) referrers(ctx context.Context, d godigest.Digest) ([]imgspec.Descriptor, error) {
	var raw []byte
	resp, err := e.get(ctx, "referrers/"+d.String(), http.Header{"Accept": {imgspec.MediaTypeImageIndex}})
	if err == nil {
		defer resp.Body.Close()
		raw, err = io.ReadAll(limits.Manifest.Reader(resp.Body))
	} else if status := (*statusError)(nil); errors.As(err, &status) && status.status >= 400 && status.status < 500 {
		raw, _, err = e.manifest(ctx, strings.Replace(d.String(), ":", "-", 1))
		if hasStatus(err, http.StatusNotFound) {
			return nil, nil
		}
	}
	if err != nil {
		return nil, err
	}
	var index imgspec.Index
	err = json.Unmarshal(raw, &index)
	return index.Manifests, err
}
