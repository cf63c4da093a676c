package oci

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	godigest "github.com/opencontainers/go-digest"
	imgspec "github.com/opencontainers/image-spec/specs-go/v1"
	"go.podman.io/image/v5/docker/reference"
	"go.podman.io/image/v5/manifest"
	"go.podman.io/image/v5/oci/layout"
	"go.podman.io/image/v5/types"
)

func (opts Options) architecture() string {
	if opts.Architecture != "" {
		return opts.Architecture
	}
	return runtime.GOARCH
}

// choose returns the digest of the manifest for the platform in sys from a list
// of manifests.
func choose(ref Reference, raw []byte, mediaType string, sys *types.SystemContext) (godigest.Digest, error) {
	list, err := manifest.ListFromBlob(raw, mediaType)
	if err != nil {
		return "", fmt.Errorf("list of manifests of %s: %w", ref, err)
	}
	instance, err := list.ChooseInstance(sys)
	if err == nil {
		return instance, nil
	}
	if offered := platforms(raw); len(offered) > 0 {
		wanted := Options{Architecture: sys.ArchitectureChoice}.architecture()
		return "", fmt.Errorf("%s is not for this machine: it offers %s, want linux/%s", ref, strings.Join(offered, ", "), wanted)
	}
	return "", fmt.Errorf("list of manifests of %s: %w", ref, err)
}

// platforms returns those that a list of manifests offers, such as
// "linux/arm64". What is not for any machine, as attestations are, is "unknown"
// and left out.
func platforms(raw []byte) []string {
	var index imgspec.Index
	if json.Unmarshal(raw, &index) != nil {
		return nil
	}
	var names []string
	for _, m := range index.Manifests {
		if m.Platform == nil || m.Platform.Architecture == "unknown" {
			continue
		}
		name := m.Platform.OS + "/" + m.Platform.Architecture
		if m.Platform.Variant != "" {
			name += "/" + m.Platform.Variant
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// checkPlatform refuses an image whose configuration says that it is for
// another machine. A list of manifests may say otherwise, and an image without
// a list says it nowhere else. An empty field says nothing.
func checkPlatform(ref Reference, p imgspec.Platform, wanted string) error {
	if p.OS != "" && p.OS != "linux" || p.Architecture != "" && p.Architecture != wanted {
		return fmt.Errorf("%s is not for this machine: it is for %s/%s, want linux/%s", ref, p.OS, p.Architecture, wanted)
	}
	return nil
}

// checkPinned checks the digest of the manifest that the reference itself, or
// the index.json of an OCI layout, says it has.
func (i *Image) checkPinned(raw []byte) error {
	ref := i.Reference.image
	if named, ok := ref.DockerReference().(reference.Digested); ok {
		return sameDigest(i.Reference.String(), raw, named.Digest())
	}
	switch i.Reference.Transport() {
	case "oci":
	case "oci-archive":
		// The library unpacks the archive into a directory of its own making,
		// the only one in ours.
		found, err := filepath.Glob(filepath.Join(i.temp.path, "*", imgspec.ImageIndexFile))
		if err != nil || len(found) != 1 {
			return fmt.Errorf("cannot find the index of %s", i.Reference)
		}
		_, tag, _ := strings.Cut(ref.StringWithinTransport(), ":")
		if ref, err = layout.ParseReference(filepath.Dir(found[0]) + ":" + tag); err != nil {
			return err
		}
	default:
		return nil
	}
	descriptor, err := layout.LoadManifestDescriptor(ref)
	if err != nil {
		return explain(i.Reference, err)
	}
	if err := sameDigest("manifest", raw, descriptor.Digest); err != nil {
		return fmt.Errorf("%s: %w", i.Reference, err)
	}
	return nil
}
