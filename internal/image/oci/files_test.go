package oci

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	godigest "github.com/opencontainers/go-digest"

	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
)

// TestOddFiles has layouts and directories in which something is enormous or waits for
// a writer: the image is refused at once, and costs no memory.
func TestOddFiles(t *testing.T) {
	im := newImage(t, "amd64", archives(t)[1:2], nil)
	blob := "blobs/sha256/" + im.digest().Encoded()
	tests := []struct{ transport, name string }{
		{"oci", "index.json"}, {"oci", blob},
		{"dir", "manifest.json"}, {"dir", "version"}, {"dir", "signature-1"},
	}
	for _, tt := range tests {
		for _, kind := range []string{"sparse", "pipe", "directory"} {
			t.Run(tt.transport+" "+tt.name+" "+kind, func(t *testing.T) {
				dir, ref := writeDir(t, im), ""
				if tt.transport == "oci" {
					dir = writeLayout(t, im, "v1")
					ref = ":v1"
				}
				replaceBy(t, filepath.Join(dir, tt.name), kind)
				before := allocated()
				_, err := tryOpen(t, tt.transport+":"+dir+ref, options(t))
				if exceeded := (*limits.Error)(nil); err == nil || errors.As(err, &exceeded) != (kind == "sparse") {
					t.Errorf("error %v; want one about the file", err)
				}
				if took := allocated() - before; took > 32<<20 {
					t.Errorf("%d MiB were allocated", took>>20)
				}
			})
		}
	}
}

func replaceBy(t *testing.T, name, kind string) {
	t.Helper()
	_ = os.Remove(name)
	var err error
	switch kind {
	case "sparse":
		if err = os.WriteFile(name, nil, 0o644); err == nil {
			err = os.Truncate(name, 600<<20)
		}
	case "pipe":
		err = syscall.Mkfifo(name, 0o644)
	case "directory":
		err = os.Mkdir(name, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestPipedBlobs has layers and configurations, and archives, that wait for a writer.
func TestPipedBlobs(t *testing.T) {
	im := newImage(t, "amd64", archives(t)[1:2], nil)
	for d := range im.blobs {
		for _, transport := range []string{"oci", "dir"} {
			dir, name, ref := writeDir(t, im), d.Encoded(), ""
			if transport == "oci" {
				dir, name, ref = writeLayout(t, im, "v1"), "blobs/sha256/"+d.Encoded(), ":v1"
			}
			replaceBy(t, filepath.Join(dir, name), "pipe")
			img, err := tryOpen(t, transport+":"+dir+ref, options(t))
			if err == nil {
				_, err = readLayer(t, img, 0)
			}
			if transport == "dir" && d == im.digest() {
				continue // it has the manifest under another name
			}
			if err == nil || !strings.Contains(err.Error(), "is not a regular file") {
				t.Errorf("%s: %s: error %v", transport, d, err)
			}
		}
	}
	for _, transport := range []string{"oci-archive", "docker-archive"} {
		name := filepath.Join(t.TempDir(), "archive")
		replaceBy(t, name, "pipe")
		if _, err := tryOpen(t, transport+":"+name, options(t)); err == nil || !strings.Contains(err.Error(), "is not a regular file") {
			t.Errorf("%s: error %v", transport, err)
		}
	}
}

// TestArchiveBombs has archives that are small, and would take much when unpacked.
func TestArchiveBombs(t *testing.T) {
	opts := options(t)
	opts.TempDir = t.TempDir()
	tests := []struct {
		name, transport string
		header          tar.Header
		want            limits.Limit
	}{
		{"index", "oci-archive", tar.Header{Name: "./index.json", Size: 600 << 20}, limits.Manifest},
		{"blob", "oci-archive", tar.Header{Name: "blobs/sha256/" + godigest.FromString("x").Encoded(), Size: 1 << 44}, limits.Reserve},
		{"layer", "docker-archive", tar.Header{Name: "layer.tar", Size: 1 << 44}, limits.Reserve},
	}
	for _, tt := range tests {
		name := filepath.Join(t.TempDir(), "archive")
		file, err := os.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		z := gzip.NewWriter(file)
		tt.header.Mode = 0o644
		if err := tar.NewWriter(z).WriteHeader(&tt.header); err != nil {
			t.Fatal(err)
		}
		z.Close()
		file.Close()
		_, err = tryOpen(t, tt.transport+":"+name, opts)
		if exceeded := (*limits.Error)(nil); !errors.As(err, &exceeded) || exceeded.Limit != tt.want {
			t.Errorf("%s: error %v; want that of %s", tt.name, err, tt.want.Name)
		}
	}
}

// TestDockerLayerBombs has docker-archives with a small layer that is inflated to much,
// or would be: they are refused before the library inflates it.
func TestDockerLayerBombs(t *testing.T) {
	var member bytes.Buffer
	z := gzip.NewWriter(&member)
	if _, err := z.Write(make([]byte, 16<<20)); err != nil {
		t.Fatal(err)
	}
	z.Close()
	bomb := bytes.Repeat(member.Bytes(), (inflatedFree+inflatedFree/2)>>24)
	tests := []struct {
		name, want string
		header     tar.Header
		content    []byte
	}{
		{"gzip", limits.Ratio.Exceeded().Error(), tar.Header{Name: "1/layer.tar"}, bomb},
		{"xz", "compressed with xz: want gzip, zstd or a plain tar archive", tar.Header{Name: "layer"}, []byte("\xfd7zXZ\x00...")},
		{"nonsense", "cannot inflate", tar.Header{Name: "layer"}, []byte("\x1f\x8b\x08 is no gzip at all")},
	}
	for _, tt := range tests {
		for _, outside := range []string{"plain", "gzip"} {
			t.Run(tt.name+" in "+outside, func(t *testing.T) {
				_, err := tryOpen(t, "docker-archive:"+writeTar(t, tt.header, tt.content, outside == "gzip"), options(t))
				if err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("error %v; want %q", err, tt.want)
				}
			})
		}
	}
}

// TestDockerBombInterrupted stops while such a layer is inflated.
func TestDockerBombInterrupted(t *testing.T) {
	var member bytes.Buffer
	z := gzip.NewWriter(&member)
	if _, err := z.Write(make([]byte, 16<<20)); err != nil {
		t.Fatal(err)
	}
	z.Close()
	name := writeTar(t, tar.Header{Name: "layer"}, bytes.Repeat(member.Bytes(), 60), false)
	ctx, stop := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, stop)
	ref, err := ParseReference("docker-archive:" + name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(ctx, ref, options(t)); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v; want %v", err, context.Canceled)
	}
}

// writeTar writes an archive with one file.
func writeTar(t *testing.T, h tar.Header, content []byte, compressed bool) (name string) {
	t.Helper()
	var data bytes.Buffer
	h.Mode, h.Size = 0o644, int64(len(content))
	w := tar.NewWriter(&data)
	if err := w.WriteHeader(&h); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	w.Close()
	out := data.Bytes()
	if compressed {
		var packed bytes.Buffer
		z := gzip.NewWriter(&packed)
		_, _ = z.Write(out)
		z.Close()
		out = packed.Bytes()
	}
	name = filepath.Join(t.TempDir(), "archive")
	if err := os.WriteFile(name, out, 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestSparseInDockerArchive(t *testing.T) {
	for _, h := range []tar.Header{{Typeflag: tar.TypeGNUSparse}, {PAXRecords: map[string]string{"GNU.sparse.major": "1"}}} {
		if err := checkDockerFile(t.Context(), &h, nil, ""); err == nil || !strings.Contains(err.Error(), "sparse") {
			t.Errorf("a sparse file, %+v: error %v; want one", h, err)
		}
	}
}

// TestInflatedSize has a layer of a few kilobytes that is inflated to many gigabytes.
func TestInflatedSize(t *testing.T) {
	reader, writer := io.Pipe()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	go func() {
		z, err := zstd.NewWriter(writer, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest))
		for zeros := make([]byte, 1<<20); err == nil && ctx.Err() == nil; {
			_, err = z.Write(zeros)
		}
		writer.CloseWithError(err)
	}()
	const size = 1 << 20
	a := &archive{ctx: ctx, layer: Layer{Size: size}, blob: reader, diff: godigest.SHA256.Digester(), large: newTurn()}
	n, err := io.Copy(io.Discard, a)
	if exceeded := (*limits.Error)(nil); !errors.As(err, &exceeded) || exceeded.Limit != limits.Ratio {
		t.Errorf("error %v; want that of %s", err, limits.Ratio.Name)
	}
	if most := inflatedFree + (size+1)*limits.Ratio.Value; n > most || n < inflatedFree {
		t.Errorf("%d bytes were inflated; want %d", n, most)
	}
	a.Close()
}
