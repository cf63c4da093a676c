package oci

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	imgspec "github.com/opencontainers/image-spec/specs-go/v1"
	"go.podman.io/image/v5/image"
	"go.podman.io/image/v5/manifest"
)

// knownTypes are those of manifests and of lists of them.
var knownTypes = []string{
	imgspec.MediaTypeImageManifest, imgspec.MediaTypeImageIndex, manifest.DockerV2Schema2MediaType, manifest.DockerV2ListMediaType,
}

// readOne reads a manifest and finds out its media type.
func (i *Image) readOne(ctx context.Context, unparsed *image.UnparsedImage) ([]byte, string, error) {
	raw, mediaType, err := unparsed.Manifest(ctx)
	if err != nil {
		return nil, "", err
	}
	mediaType, err = typeOf(raw, mediaType)
	return raw, mediaType, err
}

// typeOf returns the media type of a manifest. What it says itself counts: the digest is
// of that, and a proxy or a plain web server may call it anything.
func typeOf(raw []byte, called string) (string, error) {
	var m struct {
		SchemaVersion int
		MediaType     string
		Config        *imgspec.Descriptor
		Manifests     []imgspec.Descriptor
	}
	if err := json.Unmarshal(raw, &m); err != nil {
		return "", fmt.Errorf("the answer is not a manifest: its type is %q and it begins with %s", called, startOf(raw))
	}
	switch {
	case isKnown(m.MediaType):
		return m.MediaType, nil
	case m.SchemaVersion == 1:
		return "", errors.New("schema 1 of Docker is obsolete and not supported")
	case m.MediaType != "":
		return "", fmt.Errorf("unknown media type %q", m.MediaType)
	case isKnown(called):
		return called, nil
	case m.SchemaVersion == 2 && m.Config != nil:
		return imgspec.MediaTypeImageManifest, nil // whose media type may be missing
	case m.SchemaVersion == 2 && m.Manifests != nil:
		return imgspec.MediaTypeImageIndex, nil
	}
	return "", fmt.Errorf("the answer is not a manifest: its type is %q and it begins with %s", called, startOf(raw))
}

func isKnown(mediaType string) bool { return slices.Contains(knownTypes, mediaType) }

// startOf returns how text begins, for an error.
func startOf(text []byte) string {
	const enough = 50
	if len(text) > enough {
		return fmt.Sprintf("%q…", text[:enough])
	}
	return fmt.Sprintf("%q", text)
}
