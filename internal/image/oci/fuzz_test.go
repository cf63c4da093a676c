package oci

import (
	"testing"

	godigest "github.com/opencontainers/go-digest"
	imgspec "github.com/opencontainers/image-spec/specs-go/v1"
	"go.podman.io/image/v5/manifest"
	"go.podman.io/image/v5/types"
)

// FuzzManifest reads manifests and lists of them as a registry may send them.
// What is accepted has layers with digests that are digests.
func FuzzManifest(f *testing.F) {
	digest := godigest.FromString("x").String()
	f.Add([]byte(`{"schemaVersion":2,"config":{"mediaType":"`+imgspec.MediaTypeImageConfig+`","digest":"`+digest+`","size":2},`+
		`"layers":[{"mediaType":"`+imgspec.MediaTypeImageLayerGzip+`","digest":"`+digest+`","size":3}]}`), false)
	f.Add([]byte(`{"schemaVersion":2,"manifests":[{"mediaType":"`+imgspec.MediaTypeImageManifest+`","digest":"`+digest+`","size":2,`+
		`"platform":{"os":"linux","architecture":"amd64","variant":"v2"}}]}`), false)
	f.Add([]byte(`{"schemaVersion":1}`), true)
	f.Fuzz(func(t *testing.T, raw []byte, docker bool) {
		single, list := imgspec.MediaTypeImageManifest, imgspec.MediaTypeImageIndex
		if docker {
			single, list = manifest.DockerV2Schema2MediaType, manifest.DockerV2ListMediaType
		}
		p := picker{Image: &Image{}, sys: &types.SystemContext{OSChoice: "linux", ArchitectureChoice: "amd64"}}
		if found, err := p.candidates(raw, list); err == nil {
			for _, d := range found {
				_ = sameDigest("manifest", nil, d) // which refuses what is no digest
			}
		}
		if mediaType, err := typeOf(raw, single); err == nil && !isKnown(mediaType) {
			t.Errorf("the media type of %q is %q", raw, mediaType)
		}
		m, err := parseManifest(raw, single)
		if err != nil {
			return
		}
		infos := m.LayerInfos()
		ids := make([]godigest.Digest, len(infos))
		for i := range ids {
			ids[i] = godigest.FromString("layer")
		}
		layers, err := pairLayers(infos, ids)
		if err != nil {
			return
		}
		for _, l := range layers {
			if l.Digest.Validate() != nil || l.Size < 0 {
				t.Errorf("layer %+v of %q is accepted", l, raw)
			}
		}
	})
}
