package status

import (
	"cmp"
	"encoding/json"
	"io"
	"strings"
	"time"

	godigest "github.com/opencontainers/go-digest"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/repo"
	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
)

// versionKey is the annotation, and the label, with an image's version.
const versionKey = "org.opencontainers.image.version"

// readImage fills in what manifest and configuration of the image say, as far as they
// are in the repository. bootc notes nothing of that in the origin. What cannot be read
// is for repo fsck to tell.
func (g *gatherer) readImage(d *Deployment) {
	if g.sys.Repository == nil || d.Origin.ManifestDigest == "" {
		return
	}
	var manifest struct {
		Annotations map[string]string `json:"annotations"`
	}
	var config struct {
		Architecture string    `json:"architecture"`
		Created      time.Time `json:"created"`
		Config       struct {
			Labels map[string]string `json:"Labels"`
		} `json:"config"`
	}
	refs, ok := document(g.sys.Repository, "oci-manifest-", d.Origin.ManifestDigest, &manifest)
	if !ok {
		return
	}
	for name := range refs {
		if id, isConfig := strings.CutPrefix(name, "config:"); isConfig {
			document(g.sys.Repository, "oci-config-", id, &config)
		}
	}
	d.Architecture = config.Architecture
	d.Origin.Version = cmp.Or(d.Origin.Version, manifest.Annotations[versionKey], config.Config.Labels[versionKey])
	if d.Origin.Created == "" && !config.Created.IsZero() {
		d.Origin.Created = config.Created.UTC().Format(time.RFC3339)
	}
}

// document reads a JSON document of an image into v, and returns what it refers to. ok
// is false if it is not there, or not what its digest says.
func document(repo *repo.Repository, prefix, name string, v any) (refs map[string]digest.Digest, ok bool) {
	want, err := godigest.Parse(name)
	if err != nil {
		return nil, false
	}
	s, err := repo.OpenStream(prefix + name)
	if err != nil {
		return nil, false
	}
	defer s.Close()
	content := s.Content(func(d digest.Digest) (io.ReadCloser, error) { return repo.OpenObject(d) })
	defer content.Close()
	text, err := bounded.ReadAll(content, limits.Config)
	if err != nil || want.Algorithm().FromBytes(text) != want {
		return nil, false
	}
	return s.NamedRefs(), json.Unmarshal(text, v) == nil
}
