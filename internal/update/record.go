package update

import (
	"bytes"
	"maps"
	"slices"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/canonical"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/repo"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/stream"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/verity"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
	"github.com/sysupdate-image/sysupdate-image/internal/image/layer"
	"github.com/sysupdate-image/sysupdate-image/internal/image/oci"
)

// RecordImage records manifest and configuration of an image as composefs-rs
// does, with the composefs image that they make, and gives the manifest the
// name that keeps all of it from being collected as garbage. id and form are those
// of the composefs image.
func RecordImage(img *oci.Image, to *repo.Repository, id deployment.ID, form canonical.Variant) error {
	put := func(d document) (digest.Digest, error) { return putDocument(to, d) }
	if err := eachDocument(img, to, id, form, put); err != nil {
		return err
	}
	return to.SetRef(rootRef(img.ManifestDigest), repo.ManifestPrefix+img.ManifestDigest)
}

// recordSizes enters the objects that RecordImage would write, with their sizes.
func recordSizes(img *oci.Image, to *repo.Repository, id deployment.ID, form canonical.Variant, sizes map[digest.Digest]int64) error {
	return eachDocument(img, to, id, form, func(d document) (digest.Digest, error) {
		content := verity.Sum(to.Algorithm(), d.content)
		sizes[content] = int64(len(d.content))
		var file bytes.Buffer
		err := d.stream(to.Algorithm(), content).Finish(&file)
		sum := verity.Sum(to.Algorithm(), file.Bytes())
		sizes[sum] = int64(file.Len())
		return sum, err
	})
}

// eachDocument calls put with the documents that record an image, in the order in which they
// are written. put returns the digest of a document's stream.
func eachDocument(
	img *oci.Image, to *repo.Repository, id deployment.ID, form canonical.Variant, put func(document) (digest.Digest, error),
) error {
	image, err := id.Digest()
	if err != nil {
		return err
	}
	layers, err := layerStreams(img, to)
	if err != nil {
		return err
	}
	config, err := put(document{
		name:    repo.ConfigPrefix + img.ConfigDigest,
		kind:    stream.OCIConfig,
		content: img.RawConfig,
		refs:    with(layers, form.Ref(), image),
	})
	if err != nil {
		return err
	}
	_, err = put(document{
		name:    repo.ManifestPrefix + img.ManifestDigest,
		kind:    stream.OCIManifest,
		content: img.RawManifest,
		refs:    with(layers, "config:"+img.ConfigDigest, config),
	})
	return err
}

// A document is a JSON document of an image, kept as an object that a stream
// names.
type document struct {
	name    string
	kind    stream.ContentType
	content []byte
	refs    map[string]digest.Digest // to other streams and images
}

func putDocument(repo *repo.Repository, d document) (digest.Digest, error) {
	object, err := repo.PutObject(d.content)
	if err != nil {
		return digest.Digest{}, err
	}
	return repo.PutStream(d.name, d.stream(repo.Algorithm(), object))
}

// stream returns the stream of a document whose content is an object.
func (d document) stream(alg digest.Algorithm, object digest.Digest) *stream.Writer {
	w := stream.NewWriter(alg, d.kind)
	w.External(object, int64(len(d.content)))
	for _, name := range slices.Sorted(maps.Keys(d.refs)) { // the same file each time
		w.Reference(name, d.refs[name])
	}
	return w
}

// layerStreams returns the streams of an image's layers by diff_id.
func layerStreams(img *oci.Image, repo *repo.Repository) (map[string]digest.Digest, error) {
	streams := make(map[string]digest.Digest)
	for _, l := range img.Layers {
		d, err := repo.StreamDigest(layer.StreamName(l.DiffID))
		if err != nil {
			return nil, err
		}
		streams[l.DiffID.String()] = d
	}
	return streams, nil
}

// with returns refs with one more.
func with(refs map[string]digest.Digest, name string, d digest.Digest) map[string]digest.Digest {
	out := map[string]digest.Digest{name: d}
	for n, r := range refs {
		out[n] = r
	}
	return out
}

// rootRefPrefix begins the names of images that deployments come from; bootc
// gives them the same.
const rootRefPrefix = "localhost/bootc-"

// rootRef returns the reference that keeps an image from being collected.
func rootRef(manifestDigest string) string { return rootRefPrefix + manifestDigest }

func isRootRef(ref string) bool { return strings.HasPrefix(ref, rootRefPrefix) }
