package oci

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"

	godigest "github.com/opencontainers/go-digest"
	imgspec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/sirupsen/logrus"
	"go.podman.io/image/v5/image"
	"go.podman.io/image/v5/manifest"
	"go.podman.io/image/v5/types"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bug"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
)

// An Image is one image for one architecture, allowed by the signature policy.
// Its manifest and configuration have been verified; layers are while they are
// read. Several layers can be read at once.
type Image struct {
	Reference      Reference
	ManifestDigest string // of RawManifest: "sha256:…"
	RawManifest    []byte
	Signature      string // how it was checked: Signed, SignatureNotRequired or NoSignaturePolicy

	// What ReadConfig reads.
	ConfigDigest string // of RawConfig: "sha256:…"
	RawConfig    []byte
	Config       imgspec.Image
	Layers       []Layer // lowest first

	manifest   manifest.Manifest
	options    Options
	source     types.ImageSource
	opening    sync.Mutex // held while a blob is opened, if the source wants that
	temp       *tempDir
	tempParent string // of temporary directories, see Options
	retry      retry
	large      turn // of a layer that takes much memory to inflate
}

// A Layer is a layer as the manifest and the configuration have it.
type Layer struct {
	Digest    godigest.Digest // of the blob
	DiffID    godigest.Digest // of the tar archive in it
	MediaType string
	Size      int64 // of the blob, in bytes
}

// Open finds the image that ref names for the architecture of opts, verifies
// its manifest, asks the signature policy, and reads its configuration. Errors
// say what is wrong in an administrator's terms; ErrNotFound is in their chain
// if there is no such image. The caller closes the image.
func Open(ctx context.Context, ref Reference, opts Options) (*Image, error) {
	return open(ctx, ref, opts, patient)
}

func open(ctx context.Context, ref Reference, opts Options, r retry) (*Image, error) {
	i, err := find(ctx, ref, opts, r)
	if err != nil {
		return nil, err
	}
	if err := i.ReadConfig(ctx); err != nil {
		i.Close()
		return nil, err
	}
	return i, nil
}

// Find is Open for somebody who may know by the digest of the manifest what is in the image,
// and need not ask for more: it leaves out ReadConfig.
func Find(ctx context.Context, ref Reference, opts Options) (*Image, error) {
	return find(ctx, ref, opts, patient)
}

func find(ctx context.Context, ref Reference, opts Options, r retry) (*Image, error) {
	if ref.image == nil {
		return nil, errors.New("no reference")
	}
	if err := opts.Gzip.Check(); err != nil {
		return nil, err
	}
	i := &Image{Reference: ref, options: opts, large: newTurn(), retry: r}
	if err := i.find(ctx); err != nil {
		i.Close()
		return nil, err
	}
	return i, nil
}

// inTime returns a context that ends when a registry has had time enough.
func (i *Image) inTime(ctx context.Context) (context.Context, context.CancelFunc) {
	if i.Reference.registry() == "" {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, openPatience*i.retry.stall)
}

func (i *Image) find(ctx context.Context) error {
	ctx, cancel := i.inTime(ctx)
	defer cancel()
	sys, err := i.connect(ctx, i.options)
	if err != nil {
		return err
	}
	raw, mediaType, err := i.readManifest(ctx, sys)
	if err != nil {
		return err
	}
	if i.manifest, err = parseManifest(raw, mediaType); err != nil {
		return fmt.Errorf("manifest of %s: %w", i.Reference, err)
	}
	i.RawManifest, i.ManifestDigest = raw, godigest.FromBytes(raw).String()
	return nil
}

// ReadConfig reads and verifies the configuration, unless that is done already, and finds the
// layers.
func (i *Image) ReadConfig(ctx context.Context) (err error) {
	if i.RawConfig != nil {
		return nil
	}
	ctx, cancel := i.inTime(ctx)
	defer cancel()
	if err := i.readConfig(ctx, i.manifest.ConfigInfo()); err != nil {
		return fmt.Errorf("configuration of %s: %w", i.Reference, err)
	}
	if err := checkPlatform(i.Reference, i.Config.Platform, i.options); err != nil {
		return err
	}
	i.Layers, err = pairLayers(i.manifest.LayerInfos(), i.Config.RootFS.DiffIDs)
	if err != nil {
		return fmt.Errorf("manifest of %s: %w", i.Reference, err)
	}
	return nil
}

// connect opens the source of the image: it asks the registry, or unpacks the
// archive.
func (i *Image) connect(ctx context.Context, opts Options) (*types.SystemContext, error) {
	i.tempParent = opts.TempDir
	var path string
	switch i.Reference.Transport() {
	case "oci-archive", "docker-archive":
		var err error
		if i.temp, err = newTempDir(opts.TempDir); err != nil {
			return nil, err
		}
		path = i.temp.path
	}
	sys, err := opts.systemContext(path)
	if err != nil {
		return nil, err
	}
	// The library tells of each connection that it begins again: so does our
	// progress, and what is fatal comes back as an error.
	logrus.SetLevel(logrus.WarnLevel)
	// With an error, the library's source is an interface that holds nil.
	source, err := i.openSource(ctx, sys)
	if err != nil {
		return nil, explain(i.Reference, err)
	}
	i.source = source
	return sys, nil
}

func (i *Image) openSource(ctx context.Context, sys *types.SystemContext) (types.ImageSource, error) {
	if i.Reference.registry() == "" {
		return i.openFiles(ctx, sys)
	}
	source, err := newRegistrySource(sys, i.Reference, i.retry)
	if err != nil {
		return nil, err
	}
	return source, nil
}

// openFiles opens an image in a file or directory, when what the library will read of
// it has been looked at. An archive it unpacks whatever ctx says: then that goes on, in a
// directory that is removed.
func (i *Image) openFiles(ctx context.Context, sys *types.SystemContext) (types.ImageSource, error) {
	if err := i.checkFiles(); err != nil {
		return nil, err
	}
	if i.temp == nil {
		source, err := i.Reference.image.NewImageSource(ctx, sys)
		if err != nil || i.Reference.Transport() != "oci" {
			return source, err
		}
		return &layoutSource{source, i.path(), i.Reference.image}, nil
	}
	if err := checkArchive(ctx, i.path(), i.temp.path, i.Reference.Transport(), i.options.Gzip); err != nil {
		return nil, err
	}
	return i.unpack(ctx, sys)
}

func (i *Image) unpack(ctx context.Context, sys *types.SystemContext) (types.ImageSource, error) {
	type opened struct {
		source types.ImageSource
		err    error
	}
	done := make(chan opened, 1)
	go func() {
		var o opened
		o.err = bug.Catch(func() (err error) {
			o.source, err = i.Reference.image.NewImageSource(ctx, sys)
			return err
		})
		done <- o
	}()
	select {
	case o := <-done:
		if o.err != nil || i.Reference.Transport() != "oci-archive" {
			return o.source, o.err
		}
		dir, top, err := i.unpacked()
		if err != nil {
			return nil, errors.Join(err, o.source.Close())
		}
		return &layoutSource{o.source, dir, top}, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// readManifest returns the manifest of the image, out of several the one for
// the wanted architecture, if it has the digest that it should have and the
// policy allows it.
func (i *Image) readManifest(ctx context.Context, sys *types.SystemContext) ([]byte, string, error) {
	unparsed := image.UnparsedInstance(i.source, nil)
	raw, mediaType, err := i.readOne(ctx, unparsed)
	if err != nil {
		return nil, "", explain(i.Reference, err)
	}
	if err := i.checkPinned(raw); err != nil {
		return nil, "", err
	}
	if manifest.MIMETypeIsMultiImage(mediaType) {
		p := picker{Image: i, sys: sys}
		if unparsed, raw, mediaType, err = p.pick(ctx, raw, mediaType, 1); err != nil {
			return nil, "", err
		}
	}
	signed, done, err := i.withSignatures(ctx, sys, raw, unparsed)
	if err != nil {
		return nil, "", explain(i.Reference, err)
	}
	defer done()
	i.Signature, err = checkPolicy(ctx, sys, i.Reference, signed)
	return raw, mediaType, err
}

func parseManifest(raw []byte, mediaType string) (manifest.Manifest, error) {
	switch manifest.NormalizedMIMEType(mediaType) {
	case imgspec.MediaTypeImageManifest, manifest.DockerV2Schema2MediaType:
	default:
		return nil, fmt.Errorf("unknown media type %q", mediaType)
	}
	m, err := manifest.FromBlob(raw, mediaType)
	if err != nil {
		return nil, err
	}
	switch config := m.ConfigInfo(); config.MediaType {
	case imgspec.MediaTypeImageConfig, manifest.DockerV2Schema2ConfigMediaType:
		return m, nil
	default:
		return nil, fmt.Errorf("an artifact of type %q, not an image", config.MediaType)
	}
}

// readConfig reads the configuration and checks its digest.
func (i *Image) readConfig(ctx context.Context, info types.BlobInfo) error {
	if err := info.Digest.Validate(); err != nil {
		return fmt.Errorf("digest %q: %w", info.Digest, err)
	}
	if info.Size < 0 {
		return fmt.Errorf("size of %d bytes", info.Size)
	}
	if err := limits.Config.Check(info.Size); err != nil {
		return err
	}
	blob := i.openBlob(ctx, "", info.Digest, info.Size, nil)
	defer blob.Close()
	raw, err := io.ReadAll(limits.Config.Reader(blob))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(raw, &i.Config); err != nil {
		return err
	}
	i.RawConfig, i.ConfigDigest = raw, info.Digest.String()
	return nil
}

// pairLayers says which layer of the manifest should have which of the
// configuration's diff_ids.
func pairLayers(infos []manifest.LayerInfo, diffIDs []godigest.Digest) ([]Layer, error) {
	if len(infos) != len(diffIDs) {
		return nil, fmt.Errorf("%d layers, but the configuration has %d diff_ids", len(infos), len(diffIDs))
	}
	layers := make([]Layer, len(infos))
	for n, info := range infos {
		layers[n] = Layer{info.Digest, diffIDs[n], info.MediaType, info.Size}
		for _, d := range []godigest.Digest{info.Digest, diffIDs[n]} {
			if err := d.Validate(); err != nil {
				return nil, fmt.Errorf("layer %d: digest %q: %w", n+1, d, err)
			}
		}
		if info.Size < 0 {
			return nil, fmt.Errorf("layer %s: size of %d bytes", info.Digest, info.Size)
		}
	}
	return layers, nil
}

// LayersOf returns the layers of an image whose manifest and configuration are
// kept elsewhere, for an Image that has others of the same place to read from.
func LayersOf(rawManifest, rawConfig []byte) ([]Layer, error) {
	mediaType, err := typeOf(rawManifest, "")
	if err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	m, err := parseManifest(rawManifest, mediaType)
	if err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	var config imgspec.Image
	if err := json.Unmarshal(rawConfig, &config); err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	return pairLayers(m.LayerInfos(), config.RootFS.DiffIDs)
}

// sameDigest reports whether data has the digest want.
func sameDigest(what string, data []byte, want godigest.Digest) error {
	if err := want.Validate(); err != nil {
		return fmt.Errorf("%s digest %q: %w", what, want, err)
	}
	if got := want.Algorithm().FromBytes(data); got != want {
		return fmt.Errorf("%s has a wrong digest: %s, want %s", what, got, want)
	}
	return nil
}

// Close ends the connection and removes temporary files. Layers must be closed
// before.
func (i *Image) Close() error {
	var errs []error
	if i.source != nil {
		errs = append(errs, i.source.Close())
	}
	if i.temp != nil {
		errs = append(errs, i.temp.Close())
	}
	return errors.Join(errs...)
}
