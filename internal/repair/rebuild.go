package repair

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	godigest "github.com/opencontainers/go-digest"
	imgspec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/canonical"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/erofs"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/repo"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/stream"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/image/layer"
)

// imagePrefix begins the names of references to images: ".boot" follows for one that
// boots, and more. See docs/formats/composefs.md, section 3.
const imagePrefix = "composefs.image"

// sources say which configuration names an image, by the image's id.
type sources map[string]string

func (s sources) ids() []string { return slices.Sorted(maps.Keys(s)) }

// errUnknownSource says that nothing tells of what an image was made.
var errUnknownSource = errors.New("its layers are not known here")

// builtFrom returns the images that the configurations in the repository name.
func (r *run) builtFrom() (sources, error) {
	names, err := r.repo.Streams()
	if err != nil {
		return nil, err
	}
	found := make(sources)
	for _, name := range names {
		if !strings.HasPrefix(name, repo.ConfigPrefix) {
			continue
		}
		s, err := r.repo.OpenStream(name)
		if err != nil {
			continue // a problem that is known already
		}
		for ref, d := range s.NamedRefs() {
			if strings.HasPrefix(ref, imagePrefix) {
				found[d.String()] = name
			}
		}
		s.Close()
	}
	return found, nil
}

// rebuild builds an image from the layers that its configuration names, and
// enters it if it is the one.
func (r *run) rebuild(want digest.Digest, built sources) error {
	config := built[want.String()]
	if config == "" {
		return fmt.Errorf("%w; apply the image again", errUnknownSource)
	}
	m, err := r.find(config, want, false)
	if other := (*canonical.Mismatch)(nil); errors.As(err, &other) {
		return fmt.Errorf("%s builds a different image, %s; apply the image again", config, other.Tried[0].Digest)
	}
	if err != nil {
		return err
	}
	_, err = r.repo.PutImage(func(w io.Writer) error { return erofs.Write(r.ctx, w, m.Root, m.Options) })
	return err
}

// find computes the wanted image from the layers of a configuration; with inOrder as
// composefs-rs merges them, which is tried where it makes a difference.
func (r *run) find(config string, want digest.Digest, inOrder bool) (*canonical.Match, error) {
	layers := layer.Merger{InOrder: inOrder, Expand: true}
	boot, err := r.compose(config, want, &layers)
	if err != nil {
		return nil, fmt.Errorf("cannot build it again from %s: %w; apply the image again", config, err)
	}
	content := func(n *tree.Node) ([]byte, error) { return r.content(n) }
	m, err := canonical.Find(r.ctx, layers.Root, content, boot, want)
	if other := (*canonical.Mismatch)(nil); errors.As(err, &other) && len(layers.Late) > 0 {
		if m, err := r.find(config, want, true); err == nil {
			return m, nil
		}
	}
	return m, err
}

// compose merges the layers of a configuration, and reports whether the wanted
// image is the one that boots.
func (r *run) compose(config string, want digest.Digest, m *layer.Merger) (boot bool, err error) {
	s, err := r.repo.OpenStream(config)
	if err != nil {
		return false, err
	}
	defer s.Close()
	for ref, d := range s.NamedRefs() {
		if d == want && strings.HasPrefix(ref, imagePrefix+".boot") {
			boot = true
		}
	}
	diffIDs, err := r.diffIDs(s)
	if err != nil {
		return boot, err
	}
	for _, id := range diffIDs {
		if err := r.ctx.Err(); err != nil {
			return boot, err
		}
		if err = m.ApplyStored(r.ctx, r.repo, id); err != nil {
			return boot, err
		}
	}
	if m.Root == nil {
		return boot, errors.New("it has no layers")
	}
	return boot, nil
}

// diffIDs returns the layers of a configuration, lowest first.
func (r *run) diffIDs(s *stream.Reader) ([]godigest.Digest, error) {
	content := s.Content(func(d digest.Digest) (io.ReadCloser, error) { return r.repo.OpenObject(d) })
	defer content.Close()
	text, err := bounded.ReadAll(content, limits.Config)
	if err != nil {
		return nil, err
	}
	var config imgspec.Image
	if err := json.Unmarshal(text, &config); err != nil {
		return nil, err
	}
	for _, id := range config.RootFS.DiffIDs {
		if err := id.Validate(); err != nil {
			return nil, fmt.Errorf("diff_id %q: %w", id, err)
		}
	}
	return config.RootFS.DiffIDs, nil
}

// content returns what is in a regular file of a layer.
func (r *run) content(n *tree.Node) ([]byte, error) {
	if n.Digest.IsZero() {
		return n.Inline, nil
	}
	f, err := r.repo.OpenObject(n.Digest)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return bounded.ReadAll(f, limits.Contexts)
}
