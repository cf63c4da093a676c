package layer

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/klauspost/compress/gzip"
	godigest "github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	imgspec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/stream"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
	"github.com/sysupdate-image/sysupdate-image/internal/image/oci"
)

// benchSize is that of the archive.
const benchSize = 200 << 20

// benchArchive returns an archive with files of sizes as in /usr (half below
// 4 KiB), that compresses as such files do, about three to one.
var benchArchive = sync.OnceValue(func() []byte {
	random := rand.New(rand.NewPCG(1, 2))
	words := make([]string, 3000)
	for i := range words {
		words[i] = fmt.Sprintf("%x ", random.Uint64()>>random.IntN(60))
	}
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	var content bytes.Buffer
	for n := 0; buf.Len() < benchSize; n++ {
		size := 1 << (5 + random.IntN(15))
		content.Reset()
		for content.Len() < size {
			content.WriteString(words[random.IntN(len(words))])
		}
		w.WriteHeader(&tar.Header{Name: fmt.Sprintf("%d", n), Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(content.Len())})
		w.Write(content.Bytes())
	}
	w.Close()
	return buf.Bytes()
})

var benchBlob = sync.OnceValue(func() []byte {
	var buf bytes.Buffer
	z := gzip.NewWriter(&buf)
	z.Write(benchArchive())
	z.Close()
	return buf.Bytes()
})

// BenchmarkGunzip is what no import of a gzip layer can be faster than.
func BenchmarkGunzip(b *testing.B) {
	blob := benchBlob()
	b.SetBytes(int64(len(benchArchive())))
	for b.Loop() {
		z, err := gzip.NewReader(bytes.NewReader(blob))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, z); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkImport reads the same layer from an OCI layout into a repository,
// with both digests checked.
func BenchmarkImport(b *testing.B) {
	layout := benchLayout(b)
	ref, err := oci.ParseReference("oci:" + layout)
	if err != nil {
		b.Fatal(err)
	}
	im, err := oci.Open(b.Context(), ref, oci.Options{Architecture: "amd64"})
	if err != nil {
		b.Fatal(err)
	}
	defer im.Close()
	b.SetBytes(int64(len(benchArchive())))
	for b.Loop() {
		b.StopTimer()
		repo := newRepository(b)
		b.StartTimer()
		r, err := im.OpenLayer(b.Context(), im.Layers[0], nil)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := Import(b.Context(), r, repo, im.Layers[0].DiffID); err != nil {
			b.Fatal(err)
		}
		r.Close()
	}
}

// BenchmarkSplit splits the archive without inflating or storing anything.
func BenchmarkSplit(b *testing.B) {
	b.SetBytes(int64(len(benchArchive())))
	for b.Loop() {
		w := stream.NewWriter(digest.SHA256, stream.OCILayer)
		if err := split(b.Context(), bytes.NewReader(benchArchive()), func() (object, error) { return &sink{}, nil }, w); err != nil {
			b.Fatal(err)
		}
	}
}

// benchLayout writes an OCI layout with the one layer.
func benchLayout(b *testing.B) string {
	b.Helper()
	dir := b.TempDir()
	blobs := filepath.Join(dir, "blobs/sha256")
	if err := os.MkdirAll(blobs, 0o777); err != nil {
		b.Fatal(err)
	}
	write := func(name string, data []byte) {
		if err := os.WriteFile(name, data, 0o666); err != nil {
			b.Fatal(err)
		}
	}
	add := func(mediaType string, data []byte) imgspec.Descriptor {
		d := godigest.FromBytes(data)
		write(filepath.Join(blobs, d.Encoded()), data)
		return imgspec.Descriptor{MediaType: mediaType, Digest: d, Size: int64(len(data))}
	}
	encode := func(v any) []byte {
		data, err := json.Marshal(v)
		if err != nil {
			b.Fatal(err)
		}
		return data
	}
	version := specs.Versioned{SchemaVersion: 2}
	config := add(imgspec.MediaTypeImageConfig, encode(imgspec.Image{
		Platform: imgspec.Platform{OS: "linux", Architecture: "amd64"},
		RootFS:   imgspec.RootFS{Type: "layers", DiffIDs: []godigest.Digest{godigest.FromBytes(benchArchive())}},
	}))
	manifest := add(imgspec.MediaTypeImageManifest, encode(imgspec.Manifest{
		Versioned: version,
		MediaType: imgspec.MediaTypeImageManifest,
		Config:    config,
		Layers:    []imgspec.Descriptor{add(imgspec.MediaTypeImageLayerGzip, benchBlob())},
	}))
	write(filepath.Join(dir, "index.json"), encode(imgspec.Index{Versioned: version, Manifests: []imgspec.Descriptor{manifest}}))
	write(filepath.Join(dir, "oci-layout"), []byte(`{"imageLayoutVersion":"1.0.0"}`))
	return dir
}
