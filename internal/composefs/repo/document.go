package repo

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"

	godigest "github.com/opencontainers/go-digest"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
)

// Streams of the documents of container images are named after what the document is and
// its digest. A manifest refers to its configuration by configRef and the digest.
const (
	ManifestPrefix = "oci-manifest-"
	ConfigPrefix   = "oci-config-"
	configRef      = "config:"
)

// Document returns the manifest or the configuration with a digest, and what it refers
// to. The content has been compared with the digest. The error is fs.ErrNotExist if the
// repository does not have it.
func (r *Repository) Document(prefix, name string) (text []byte, refs map[string]digest.Digest, err error) {
	want, err := godigest.Parse(name)
	if err != nil {
		return nil, nil, fmt.Errorf("digest %q: %w", name, err)
	}
	s, err := r.OpenStream(prefix + name)
	if err != nil {
		return nil, nil, err
	}
	defer s.Close()
	content := s.Content(func(d digest.Digest) (io.ReadCloser, error) { return r.OpenObject(d) })
	defer content.Close()
	text, err = bounded.ReadAll(content, limits.Config)
	if err == nil && want.Algorithm().FromBytes(text) != want {
		err = ErrDamaged
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%s%s: %w", prefix, name, err)
	}
	return text, s.NamedRefs(), nil
}

// ConfigOf returns the digest of the configuration among what a manifest refers to, ""
// if there is none.
func ConfigOf(refs map[string]digest.Digest) string {
	for _, name := range slices.Sorted(maps.Keys(refs)) {
		if config, ok := strings.CutPrefix(name, configRef); ok {
			return config
		}
	}
	return ""
}

// About is what the documents of a container image say about it; "" where they say
// nothing.
type About struct {
	Version      string
	Architecture string // in OCI's words
	Created      string // as in RFC 3339, in UTC, to the second
}

// versionKey is the annotation, and the label, with an image's version.
const versionKey = "org.opencontainers.image.version"

// About returns what the documents of the image with this manifest say. With an error,
// such as fs.ErrNotExist, it is what could be read.
func (r *Repository) About(manifestDigest string) (About, error) {
	var a About
	text, refs, err := r.Document(ManifestPrefix, manifestDigest)
	if err != nil {
		return a, err
	}
	var manifest struct {
		Annotations map[string]string `json:"annotations"`
	}
	errManifest := json.Unmarshal(text, &manifest)
	a.Version = manifest.Annotations[versionKey]
	name := ConfigOf(refs)
	if name == "" {
		return a, errors.Join(errManifest, fmt.Errorf("%s%s: no configuration: %w", ManifestPrefix, manifestDigest, fs.ErrNotExist))
	}
	if text, _, err = r.Document(ConfigPrefix, name); err != nil {
		return a, errors.Join(errManifest, err)
	}
	var config struct {
		Architecture string `json:"architecture"`
		Created      string `json:"created"`
		Config       struct {
			Labels map[string]string `json:"Labels"`
		} `json:"config"`
	}
	err = json.Unmarshal(text, &config)
	a.Architecture = config.Architecture
	a.Version = cmp.Or(a.Version, config.Config.Labels[versionKey])
	if t, err := time.Parse(time.RFC3339, config.Created); err == nil && !t.IsZero() {
		a.Created = t.UTC().Format(time.RFC3339)
	}
	return a, errors.Join(errManifest, err)
}
