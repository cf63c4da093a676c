package oci

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/klauspost/compress/zstd"
	godigest "github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	imgspec "github.com/opencontainers/image-spec/specs-go/v1"
)

// A testImage is an image made by hand: a manifest and what it refers to.
type testImage struct {
	manifest []byte
	config   []byte
	platform imgspec.Platform
	blobs    map[godigest.Digest][]byte
	archives [][]byte // the tar archives of the layers
}

func (m testImage) digest() godigest.Digest { return godigest.FromBytes(m.manifest) }

// layerBlob returns the last layer's blob, as the manifest names it.
func (m testImage) lastLayer(t *testing.T) godigest.Digest {
	t.Helper()
	var parsed imgspec.Manifest
	if err := json.Unmarshal(m.manifest, &parsed); err != nil {
		t.Fatal(err)
	}
	return parsed.Layers[len(parsed.Layers)-1].Digest
}

// newImage builds an image with one layer for each archive, compressed in turn
// with gzip, zstd and not at all. change, if not nil, changes the manifest and
// configuration before they are encoded.
func newImage(t *testing.T, arch string, archives [][]byte, change func(*imgspec.Manifest, *imgspec.Image)) testImage {
	t.Helper()
	im := testImage{
		platform: imgspec.Platform{Architecture: arch, OS: "linux"},
		blobs:    map[godigest.Digest][]byte{},
		archives: archives,
	}
	config := imgspec.Image{Platform: im.platform, RootFS: imgspec.RootFS{Type: "layers"}}
	manifest := imgspec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: imgspec.MediaTypeImageManifest,
	}
	for n, data := range archives {
		blob, mediaType := compress(t, n, data)
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, godigest.FromBytes(data))
		manifest.Layers = append(manifest.Layers, im.add(blob, mediaType))
	}
	manifest.Config.MediaType = imgspec.MediaTypeImageConfig
	if change != nil {
		change(&manifest, &config)
	}
	im.config = encode(t, config)
	mediaType := manifest.Config.MediaType
	manifest.Config = im.add(im.config, mediaType)
	im.manifest = encode(t, manifest)
	im.blobs[im.digest()] = im.manifest
	return im
}

func (m testImage) add(blob []byte, mediaType string) imgspec.Descriptor {
	d := godigest.FromBytes(blob)
	m.blobs[d] = blob
	return imgspec.Descriptor{MediaType: mediaType, Digest: d, Size: int64(len(blob))}
}

func compress(t *testing.T, kind int, data []byte) ([]byte, string) {
	t.Helper()
	switch kind % 3 {
	case 0:
		return gzipped(t, data), imgspec.MediaTypeImageLayerGzip
	case 1:
		return zstded(t, data), imgspec.MediaTypeImageLayerZstd
	}
	return data, imgspec.MediaTypeImageLayer
}

func gzipped(t *testing.T, data []byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	z := gzip.NewWriter(&buf)
	if _, err := z.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func zstded(t *testing.T, data []byte) []byte {
	t.Helper()
	z, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return z.EncodeAll(data, nil)
}

func encode(t *testing.T, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// tarOf returns a tar archive with one regular file for each pair of name and
// content.
func tarOf(t *testing.T, pairs ...string) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for n := 0; n < len(pairs); n += 2 {
		hdr := &tar.Header{Name: pairs[n], Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(pairs[n+1]))}
		if err := w.WriteHeader(hdr); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(pairs[n+1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// newList returns a list of manifests of images.
func newList(t *testing.T, images ...testImage) testImage {
	t.Helper()
	list := testImage{blobs: map[godigest.Digest][]byte{}}
	index := imgspec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: imgspec.MediaTypeImageIndex}
	for _, im := range images {
		for d, blob := range im.blobs {
			list.blobs[d] = blob
		}
		d := list.add(im.manifest, imgspec.MediaTypeImageManifest)
		d.Platform = &im.platform
		index.Manifests = append(index.Manifests, d)
	}
	list.manifest = encode(t, index)
	list.blobs[list.digest()] = list.manifest
	return list
}

// mediaType returns the media type of the manifest.
func (m testImage) mediaType(t *testing.T) string {
	t.Helper()
	var parsed struct {
		MediaType string `json:"mediaType"`
	}
	if err := json.Unmarshal(m.manifest, &parsed); err != nil {
		t.Fatal(err)
	}
	return parsed.MediaType
}

// writeLayout writes an OCI layout with one image, tagged.
func writeLayout(t *testing.T, im testImage, tag string) string {
	t.Helper()
	dir := t.TempDir()
	blobs := filepath.Join(dir, "blobs/sha256")
	if err := os.MkdirAll(blobs, 0o777); err != nil {
		t.Fatal(err)
	}
	for d, blob := range im.blobs {
		write(t, filepath.Join(blobs, d.Encoded()), blob)
	}
	d := imgspec.Descriptor{
		MediaType:   im.mediaType(t),
		Digest:      im.digest(),
		Size:        int64(len(im.manifest)),
		Annotations: map[string]string{imgspec.AnnotationRefName: tag},
	}
	write(t, filepath.Join(dir, "index.json"), encode(t, imgspec.Index{
		Versioned: specs.Versioned{SchemaVersion: 2},
		Manifests: []imgspec.Descriptor{d},
	}))
	write(t, filepath.Join(dir, "oci-layout"), []byte(`{"imageLayoutVersion":"1.0.0"}`))
	return dir
}

// writeDir writes an image as the dir: transport has it.
func writeDir(t *testing.T, im testImage) string {
	t.Helper()
	dir := t.TempDir()
	for d, blob := range im.blobs {
		write(t, filepath.Join(dir, d.Encoded()), blob)
	}
	write(t, filepath.Join(dir, "manifest.json"), im.manifest)
	write(t, filepath.Join(dir, "version"), []byte("Directory Transport Version: 1.1\n"))
	return dir
}

// writeDockerArchive writes an image as docker save does.
func writeDockerArchive(t *testing.T, im testImage, tag string) string {
	t.Helper()
	files := []string{}
	var layers []string
	for n, data := range im.archives {
		name := fmt.Sprintf("layer%d.tar", n)
		layers = append(layers, name)
		files = append(files, name, string(data))
	}
	files = append(files, "config.json", string(im.config), "manifest.json", string(encode(t, []map[string]any{
		{"Config": "config.json", "RepoTags": []string{tag}, "Layers": layers},
	})))
	path := filepath.Join(t.TempDir(), "image.tar")
	write(t, path, tarOf(t, files...))
	return path
}

// writeOCIArchive writes an OCI layout into a tar archive.
func writeOCIArchive(t *testing.T, im testImage, tag string) string {
	t.Helper()
	dir := writeLayout(t, im, tag)
	var files []string
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(filepath.Join(dir, path))
		files = append(files, path, string(data))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "image.tar")
	write(t, path, tarOf(t, files...))
	return path
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
}
