package oci

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"slices"

	godigest "github.com/opencontainers/go-digest"
	imgspec "github.com/opencontainers/image-spec/specs-go/v1"
	"go.podman.io/image/v5/image"
	"go.podman.io/image/v5/manifest"
	"go.podman.io/image/v5/types"
	"golang.org/x/sys/cpu"
)

// Limits on lists of manifests that are in lists of manifests.
const (
	maxNested = 3  // one in the other
	maxLists  = 16 // that are read for one image
)

// A picker finds the manifest for a platform in lists of manifests.
type picker struct {
	*Image
	sys     *types.SystemContext
	lists   int      // that were read
	offered []string // platforms
}

// pick returns the manifest for the platform in sys out of a list, or of a list in that.
func (p *picker) pick(ctx context.Context, raw []byte, mediaType string, depth int) (*image.UnparsedImage, []byte, string, error) {
	candidates, err := p.candidates(raw, mediaType)
	if err != nil {
		return nil, nil, "", fmt.Errorf("list of manifests of %s: %w", p.Reference, err)
	}
	for _, d := range candidates {
		if err := d.Validate(); err != nil {
			return nil, nil, "", fmt.Errorf("list of manifests of %s: digest %q: %w", p.Reference, d, err)
		}
		unparsed := image.UnparsedInstance(p.source, &d)
		raw, mediaType, err := p.readOne(ctx, unparsed)
		if err != nil {
			return nil, nil, "", explain(p.Reference, fmt.Errorf("manifest %s: %w", d, err))
		}
		if err := sameDigest("manifest", raw, d); err != nil {
			return nil, nil, "", fmt.Errorf("%s: %w", p.Reference, err)
		}
		if !manifest.MIMETypeIsMultiImage(mediaType) {
			return unparsed, raw, mediaType, nil
		}
		if p.lists++; depth >= maxNested || p.lists > maxLists {
			return nil, nil, "", fmt.Errorf("list of manifests of %s: too many lists in it", p.Reference)
		}
		found, raw, mediaType, err := p.pick(ctx, raw, mediaType, depth+1)
		if other := (*OtherPlatformError)(nil); !errors.As(err, &other) {
			return found, raw, mediaType, err
		}
	}
	wanted := Options{Architecture: p.sys.ArchitectureChoice, Variant: p.sys.VariantChoice}
	return nil, nil, "", newOtherPlatform(p.Reference, p.offered, wanted, true)
}

// candidates returns the manifest in a list that is for the platform, or else the lists
// in it that may have it.
func (p *picker) candidates(raw []byte, mediaType string) ([]godigest.Digest, error) {
	list, err := manifest.ListFromBlob(raw, mediaType)
	if err != nil {
		return nil, err
	}
	var index imgspec.Index // both kinds of lists have what is wanted of them in the same places
	if err := json.Unmarshal(raw, &index); err != nil {
		return nil, err
	}
	for _, name := range platforms(index) {
		if !slices.Contains(p.offered, name) {
			p.offered = append(p.offered, name)
		}
	}
	if d := bestVariant(index, p.sys); d != "" {
		return []godigest.Digest{d}, nil
	}
	var nested []godigest.Digest
	for _, m := range index.Manifests {
		if manifest.MIMETypeIsMultiImage(m.MediaType) && (m.Platform == nil || m.Platform.Architecture == wantedArchitecture(p.sys)) {
			nested = append(nested, m.Digest)
		}
	}
	if len(nested) > 0 {
		return nested, nil
	}
	d, err := list.ChooseInstance(p.sys)
	if err != nil && len(p.offered) == 0 {
		return nil, err
	}
	if err != nil {
		return nil, nil
	}
	return []godigest.Digest{d}, nil
}

func wantedArchitecture(sys *types.SystemContext) string {
	if sys.ArchitectureChoice != "" {
		return sys.ArchitectureChoice
	}
	return runtime.GOARCH
}

// bestVariant returns the manifest for the best variant of amd64 that the machine runs,
// which the library does not tell apart; "" if there is none.
func bestVariant(index imgspec.Index, sys *types.SystemContext) godigest.Digest {
	if wantedArchitecture(sys) != "amd64" {
		return ""
	}
	for _, variant := range variantsOfAMD64(sys.ArchitectureChoice, sys.VariantChoice) {
		for _, m := range index.Manifests {
			if p := m.Platform; p != nil && p.OS == "linux" && p.Architecture == "amd64" && p.Variant == variant && !manifest.MIMETypeIsMultiImage(m.MediaType) {
				return m.Digest
			}
		}
	}
	return ""
}

// variantsOfAMD64 returns the variants that a machine runs, best first: this one, or one
// of which it is said that it is of a variant, or else of any.
func variantsOfAMD64(architecture, variant string) []string {
	all := []string{"v4", "v3", "v2", "v1", ""}
	switch {
	case variant != "":
		if i := slices.Index(all, variant); i >= 0 {
			return all[i:]
		}
		return []string{variant, ""}
	case architecture == "":
		return all[slices.Index(all, amd64Level()):]
	}
	return []string{"", "v1", "v2", "v3", "v4"}
}

// amd64Level returns which variant of amd64 this processor is of, see "Micro-architecture
// levels" in the x86-64 psABI; "" on others.
func amd64Level() string {
	x := cpu.X86
	switch {
	case !x.HasCX16 || !x.HasLAHF || !x.HasPOPCNT || !x.HasSSE3 || !x.HasSSE41 || !x.HasSSE42 || !x.HasSSSE3:
		if runtime.GOARCH == "amd64" {
			return "v1"
		}
		return ""
	case !x.HasAVX2 || !x.HasBMI1 || !x.HasBMI2 || !x.HasF16C || !x.HasFMA || !x.HasLZCNT || !x.HasMOVBE || !x.HasOSXSAVE:
		return "v2"
	case !x.HasAVX512F || !x.HasAVX512BW || !x.HasAVX512CD || !x.HasAVX512DQ || !x.HasAVX512VL:
		return "v3"
	}
	return "v4"
}
