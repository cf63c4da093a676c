package oci

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
	godigest "github.com/opencontainers/go-digest"
	imgspec "github.com/opencontainers/image-spec/specs-go/v1"
)

// random returns n bytes that do not compress, the same each time.
func random(n int) string {
	data := make([]byte, n)
	rand.NewChaCha8([32]byte{1}).Read(data)
	return string(data)
}

// archives returns the archives of three layers, the first of which is larger
// than all buffers.
func archives(t *testing.T) [][]byte {
	return [][]byte{
		tarOf(t, "usr/large", random(5<<20)),
		tarOf(t, "usr/one", "1", "usr/two", strings.Repeat("2", 100000)),
		tarOf(t, "usr/three", "3"),
	}
}

// TestMain takes the user's own configuration away.
func TestMain(m *testing.M) {
	home, err := os.MkdirTemp("", "oci-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Setenv("HOME", home)
	for _, name := range []string{"XDG_CONFIG_HOME", "XDG_RUNTIME_DIR", "DOCKER_CONFIG", "CONTAINERS_POLICY_JSON", "CONTAINERS_REGISTRIES_CONF"} {
		os.Unsetenv(name)
	}
	code := m.Run()
	os.RemoveAll(home)
	os.Exit(code)
}

// options returns those for a machine that has no configuration.
func options(t *testing.T) Options {
	t.Helper()
	return Options{Architecture: "amd64", Root: t.TempDir(), TempDir: t.TempDir()}
}

func open(t *testing.T, ref string, opts Options) (*Image, error) {
	t.Helper()
	parsed, err := ParseReference(ref)
	if err != nil {
		t.Fatal(err)
	}
	im, err := Open(t.Context(), parsed, opts)
	if err == nil {
		im.retry.delay = time.Millisecond
		t.Cleanup(func() { im.Close() })
	}
	return im, err
}

func mustOpen(t *testing.T, ref string, opts Options) *Image {
	t.Helper()
	im, err := open(t, ref, opts)
	if err != nil {
		t.Fatalf("Open(%q): %v", ref, err)
	}
	return im
}

func readLayer(t *testing.T, im *Image, n int) ([]byte, error) {
	t.Helper()
	r, err := im.OpenLayer(t.Context(), im.Layers[n], nil)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

func TestTransports(t *testing.T) {
	want := archives(t)
	im := newImage(t, "amd64", want, nil)
	for name, ref := range map[string]string{
		"oci":            "oci:" + writeLayout(t, im, "v1") + ":v1",
		"oci, no tag":    "oci:" + writeLayout(t, im, "v1"),
		"oci-archive":    "oci-archive:" + writeOCIArchive(t, im, "v1") + ":v1",
		"dir":            "dir:" + writeDir(t, im),
		"docker-archive": "docker-archive:" + writeDockerArchive(t, im, "example.org/os:v1"),
		"docker":         newRegistry(t).push(t, im, "os", "v1"),
	} {
		t.Run(name, func(t *testing.T) {
			opts := options(t)
			got := mustOpen(t, ref, opts)
			if name != "docker-archive" && got.ManifestDigest != im.digest().String() {
				t.Errorf("ManifestDigest = %s; want %s", got.ManifestDigest, im.digest())
			}
			if !bytes.Equal(got.RawConfig, im.config) {
				t.Errorf("RawConfig = %s; want %s", got.RawConfig, im.config)
			}
			for n := range want {
				if data, err := readLayer(t, got, n); err != nil || !bytes.Equal(data, want[n]) {
					t.Errorf("layer %d: %d bytes, %v; want %d", n, len(data), err, len(want[n]))
				}
			}
			got.Close()
			if left, _ := os.ReadDir(opts.TempDir); len(left) > 0 {
				t.Errorf("%v is left in the temporary directory", left)
			}
		})
	}
}

func TestLayersAtOnce(t *testing.T) {
	want := archives(t)
	for _, ref := range []string{
		newRegistry(t).push(t, newImage(t, "amd64", want, nil), "os", "v1"),
		"oci:" + writeLayout(t, newImage(t, "amd64", want, nil), "v1"),
	} {
		im := mustOpen(t, ref, options(t))
		var all sync.WaitGroup
		for n := range want {
			all.Go(func() {
				if data, err := readLayer(t, im, n); err != nil || !bytes.Equal(data, want[n]) {
					t.Errorf("%s layer %d: %d bytes, %v; want %d", ref, n, len(data), err, len(want[n]))
				}
			})
		}
		all.Wait()
	}
}

func TestProgress(t *testing.T) {
	im := mustOpen(t, "oci:"+writeLayout(t, newImage(t, "amd64", archives(t), nil), "v1"), options(t))
	var total int64
	r, err := im.OpenLayer(t.Context(), im.Layers[0], func(n int64) { total += n })
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, r); err != nil {
		t.Fatal(err)
	}
	r.Close()
	if total != im.Layers[0].Size {
		t.Errorf("progress of %d bytes; want %d", total, im.Layers[0].Size)
	}
}

func TestManifestList(t *testing.T) {
	amd64 := newImage(t, "amd64", archives(t), nil)
	arm64 := newImage(t, "arm64", archives(t)[1:], nil)
	attestation := newImage(t, "unknown", nil, nil)
	list := newList(t, arm64, attestation, amd64)
	for _, ref := range []string{
		newRegistry(t).push(t, list, "os", "v1"),
		"oci:" + writeLayout(t, list, "v1"),
		"oci-archive:" + writeOCIArchive(t, list, "v1"),
	} {
		opts := options(t)
		for _, want := range []testImage{amd64, arm64} {
			opts.Architecture = want.platform.Architecture
			if im := mustOpen(t, ref, opts); im.ManifestDigest != want.digest().String() {
				t.Errorf("%s for %s: manifest %s; want %s", ref, opts.Architecture, im.ManifestDigest, want.digest())
			}
		}
		opts.Architecture = "riscv64"
		_, err := open(t, ref, opts)
		if want := "is not for this machine: it offers linux/arm64, linux/amd64, want linux/riscv64"; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s for riscv64: error %v; want %q", ref, err, want)
		}
	}
}

func TestByDigest(t *testing.T) {
	r := newRegistry(t)
	im := newImage(t, "amd64", archives(t), nil)
	r.push(t, im, "os", "v1")
	ref := r.host() + "/os@" + im.digest().String()
	if got := mustOpen(t, ref, options(t)); got.ManifestDigest != im.digest().String() {
		t.Errorf("manifest %s; want %s", got.ManifestDigest, im.digest())
	}
	other := newImage(t, "amd64", archives(t)[:1], nil)
	r.answer(func(w http.ResponseWriter, req *http.Request) bool {
		if !strings.Contains(req.URL.Path, "/manifests/") {
			return false
		}
		w.Header().Set("Content-Type", imgspec.MediaTypeImageManifest)
		w.Write(other.manifest)
		return true
	})
	if _, err := open(t, ref, options(t)); err == nil || !strings.Contains(err.Error(), "manifest digest") {
		t.Errorf("another manifest: error %v; want one about its digest", err)
	}
}

// TestRefused has one case for each image that must not be opened.
func TestRefused(t *testing.T) {
	one := archives(t)[1:2]
	layout := func(change func(*imgspec.Manifest, *imgspec.Image)) string {
		return "oci:" + writeLayout(t, newImage(t, "amd64", one, change), "v1") + ":v1"
	}
	other := newImage(t, "amd64", one, nil)
	damaged := writeLayout(t, other, "v1")
	write(t, filepath.Join(damaged, "blobs/sha256", other.digest().Encoded()), append(other.manifest, '\n'))
	config := writeLayout(t, other, "v1")
	write(t, filepath.Join(config, "blobs/sha256", godigest.FromBytes(other.config).Encoded()),
		bytes.Replace(other.config, []byte("amd64"), []byte("arm64"), 1))
	tests := []struct{ name, ref, want string }{
		{"another architecture", "oci:" + writeLayout(t, newImage(t, "s390x", one, nil), "v1"), "it is for linux/s390x, want linux/amd64"},
		{"another system", layout(func(_ *imgspec.Manifest, c *imgspec.Image) { c.OS = "windows" }), "it is for windows/amd64"},
		{"no such tag", layout(nil) + "2", "no such image"},
		{"no such directory", "oci:/nonexistent:v1", "no such image"},
		{"no such archive", "oci-archive:/nonexistent:v1", "no such image"},
		{"no such dir", "dir:/nonexistent", "no such image"},
		{"no such docker archive", "docker-archive:/nonexistent", "no such image"},
		{"artifact", layout(func(m *imgspec.Manifest, _ *imgspec.Image) { m.Config.MediaType = "application/vnd.example" }), "artifact"},
		{"diff_ids missing", layout(func(_ *imgspec.Manifest, c *imgspec.Image) { c.RootFS.DiffIDs = nil }), "1 layers, but the configuration has 0"},
		{"odd diff_id", layout(func(_ *imgspec.Manifest, c *imgspec.Image) { c.RootFS.DiffIDs[0] = "sha256:../x" }), "digest"},
		{"odd digest", layout(func(m *imgspec.Manifest, _ *imgspec.Image) { m.Layers[0].Digest = "md5:0" }), "digest"},
		{"negative size", layout(func(m *imgspec.Manifest, _ *imgspec.Image) { m.Layers[0].Size = -1 }), "size"},
		{"manifest damaged", "oci:" + damaged, "manifest has a wrong digest"},
		{"configuration damaged", "oci:" + config, "has a wrong digest"},
	}
	for _, tt := range tests {
		opts := options(t)
		_, err := open(t, tt.ref, opts)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v; want one with %q", tt.name, err, tt.want)
		}
		if tt.want == "no such image" && !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: error %v is not ErrNotFound", tt.name, err)
		}
		if left, _ := os.ReadDir(opts.TempDir); len(left) > 0 {
			t.Errorf("%s: %v is left in the temporary directory", tt.name, left)
		}
	}
}

// TestBadLayers has one case for each way in which a layer can be wrong.
func TestBadLayers(t *testing.T) {
	want := tarOf(t, "usr/large", random(3<<20))
	flipped := bytes.Clone(gzipped(t, want))
	flipped[len(flipped)/2] ^= 1
	blob := gzipped(t, want)
	tests := []struct {
		name string
		blob []byte
		size int64 // that the manifest says
		want string
	}{
		{"flipped bit", flipped, int64(len(blob)), "wrong digest"},
		{"truncated", blob[:len(blob)/2], int64(len(blob)), "is truncated"},
		{"empty", nil, int64(len(blob)), "is truncated"},
		{"longer", append(bytes.Clone(blob), "more"...), int64(len(blob)), "is longer"},
		{"other size in manifest", blob, int64(len(blob)) - 1, "is longer"},
	}
	for _, tt := range tests {
		im := newImage(t, "amd64", [][]byte{want}, func(m *imgspec.Manifest, _ *imgspec.Image) { m.Layers[0].Size = tt.size })
		layout := writeLayout(t, im, "v1")
		r := newRegistry(t)
		ref := r.push(t, im, "os", "v1")
		write(t, filepath.Join(layout, "blobs/sha256", im.lastLayer(t).Encoded()), tt.blob)
		r.replace(im.lastLayer(t), tt.blob)
		for _, ref := range []string{ref, "oci:" + layout} {
			got := mustOpen(t, ref, options(t))
			if data, err := readLayer(t, got, 0); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%s, %s: %d bytes, error %v; want one with %q", tt.name, ref, len(data), err, tt.want)
			}
		}
	}
}

// TestTLS has a server with TLS whose certificate nobody knows.
func TestTLS(t *testing.T) {
	server := httptest.NewTLSServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "https://")
	opts := options(t)
	// What is on the loopback interface is read without a known certificate.
	if _, err := open(t, host+"/os:v1", opts); !errors.Is(err, ErrNotFound) {
		t.Errorf("on loopback: error %v; want %v", err, ErrNotFound)
	}
	for err, want := range map[error]string{
		x509.UnknownAuthorityError{}: "certificate of an unknown authority",
		http.ErrSchemeMismatch:       "has no TLS",
		context.DeadlineExceeded:     "does not answer in time",
	} {
		ref, parseErr := ParseReference("example.org/os:v1")
		if parseErr != nil {
			t.Fatal(parseErr)
		}
		got := explain(ref, fmt.Errorf("pinging: %w", &url.Error{Op: "Get", URL: "x", Err: err}))
		if !strings.Contains(got.Error(), want) || !errors.Is(got, err) {
			t.Errorf("explain(%v) = %v; want %q", err, got, want)
		}
	}
}

// TestBadArchives has blobs that are what the manifest says, but hold
// something else than the configuration says, or nothing that can be inflated.
func TestBadArchives(t *testing.T) {
	want := tarOf(t, "usr/large", random(1<<20))
	cut := gzipped(t, want)
	tests := []struct {
		name string
		blob []byte
		want string // "" if it is right
	}{
		{"right", gzipped(t, want), ""},
		{"right, plain", want, ""},
		{"right, in two members", append(gzipped(t, want[:5000]), gzipped(t, want[5000:])...), ""},
		{"right, with more after the end", append(gzipped(t, want), make([]byte, 300000)...), ""},
		{"right, zstd with a skippable frame", append(zstded(t, want), "\x50\x2a\x4d\x18\x04\x00\x00\x00more"...), ""},
		{"wrong diff_id", gzipped(t, append(bytes.Clone(want), 0)), "wrong diff_id"},
		{"wrong diff_id, zstd", zstded(t, want[1:]), "wrong diff_id"},
		{"wrong diff_id, plain", want[:len(want)-512], "wrong diff_id"},
		{"empty", nil, "wrong diff_id"},
		{"gzip that ends early", cut[:len(cut)/2], "cannot inflate"},
		{"zstd that ends early", zstded(t, want)[:1000], "cannot inflate"},
		{"bzip2", []byte("BZh91AY&SY"), "compressed with bzip2"},
		{"xz", []byte("\xfd7zXZ\x00\x00"), "compressed with xz"},
	}
	for _, tt := range tests {
		layer := imgspec.Descriptor{
			MediaType: imgspec.MediaTypeImageLayerGzip,
			Digest:    godigest.FromBytes(tt.blob),
			Size:      int64(len(tt.blob)),
		}
		im := newImage(t, "amd64", [][]byte{want}, func(m *imgspec.Manifest, _ *imgspec.Image) { m.Layers[0] = layer })
		im.blobs[layer.Digest] = tt.blob
		got := mustOpen(t, "oci:"+writeLayout(t, im, "v1"), options(t))
		data, err := readLayer(t, got, 0)
		if tt.want == "" && (err != nil || !bytes.Equal(data, want)) {
			t.Errorf("%s: %d bytes, %v; want %d", tt.name, len(data), err, len(want))
		}
		if tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %d bytes, error %v; want one with %q", tt.name, len(data), err, tt.want)
		}
	}
}

func TestRegistryErrors(t *testing.T) {
	im := newImage(t, "amd64", archives(t)[1:2], nil)
	down := newRegistry(t)
	down.Close()
	locked := newRegistry(t)
	locked.answer(func(w http.ResponseWriter, req *http.Request) bool {
		w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
		http.Error(w, `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`, http.StatusUnauthorized)
		return true
	})
	up := newRegistry(t)
	up.push(t, im, "os", "v1")
	tests := []struct{ name, ref, want string }{
		{"registry down", down.host() + "/os:v1", "registry " + down.host() + " does not answer"},
		{"unauthorized", locked.host() + "/os:v1", "refuses access"},
		{"no such tag", up.host() + "/os:v2", "no such image"},
		{"no such repository", up.host() + "/so:v1", "no such image"},
		{"no such host", "registry.invalid/os:v1", "cannot find registry registry.invalid"},
	}
	for _, tt := range tests {
		if _, err := open(t, tt.ref, options(t)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v; want one with %q", tt.name, err, tt.want)
		}
	}
}

// TestBrokenTransfer breaks the connection again and again.
func TestBrokenTransfer(t *testing.T) {
	t.Parallel()
	want := [][]byte{tarOf(t, "usr/large", random(7<<20))}
	im := newImage(t, "amd64", want, nil)
	r := newRegistry(t)
	got := mustOpen(t, r.push(t, im, "os", "v1"), options(t))
	layer := im.lastLayer(t)
	blob := im.blobs[layer]
	var connections int
	r.answer(func(w http.ResponseWriter, req *http.Request) bool {
		if !strings.HasSuffix(req.URL.Path, "/blobs/"+layer.String()) {
			return false
		}
		// Each connection brings two megabytes more and no ranges.
		connections++
		w.Header().Set("Content-Length", "7000000")
		if connections == 2 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return true
		}
		if n := connections * 2 << 20; n < len(blob) {
			w.Write(blob[:n])
			panic(http.ErrAbortHandler)
		}
		w.Header().Del("Content-Length")
		w.Write(blob)
		return true
	})
	data, err := readLayer(t, got, 0)
	if err != nil || !bytes.Equal(data, want[0]) {
		t.Errorf("%d bytes, %v; want %d", len(data), err, len(want[0]))
	}
	if connections < 3 {
		t.Errorf("%d connections; want several", connections)
	}
}

// TestGivesUp reads from a registry that breaks each connection at once.
func TestGivesUp(t *testing.T) {
	t.Parallel()
	im := newImage(t, "amd64", archives(t)[:1], nil)
	r := newRegistry(t)
	got := mustOpen(t, r.push(t, im, "os", "v1"), options(t))
	layer := im.lastLayer(t)
	r.answer(func(w http.ResponseWriter, req *http.Request) bool {
		if strings.HasSuffix(req.URL.Path, "/blobs/"+layer.String()) {
			panic(http.ErrAbortHandler)
		}
		return false
	})
	if data, err := readLayer(t, got, 0); err == nil {
		t.Errorf("%d bytes and no error; want one", len(data))
	}
	if n := r.got("os", layer); n < 2 || n > 50 {
		t.Errorf("%d connections; want a few", n)
	}
}

// TestStalls reads from a registry that stops in the middle without closing.
func TestStalls(t *testing.T) {
	t.Parallel()
	im := newImage(t, "amd64", archives(t)[:1], nil)
	r := newRegistry(t)
	got := mustOpen(t, r.push(t, im, "os", "v1"), options(t))
	got.retry.stall = 50 * time.Millisecond
	layer := im.lastLayer(t)
	var stalled sync.Once
	r.answer(func(w http.ResponseWriter, req *http.Request) bool {
		if !strings.HasSuffix(req.URL.Path, "/blobs/"+layer.String()) {
			return false
		}
		first := false
		stalled.Do(func() { first = true })
		if first {
			w.Write(im.blobs[layer][:1<<20])
			w.(http.Flusher).Flush()
			<-req.Context().Done()
		}
		return first
	})
	if data, err := readLayer(t, got, 0); err != nil || !bytes.Equal(data, im.archives[0]) {
		t.Errorf("%d bytes, %v; want %d", len(data), err, len(im.archives[0]))
	}
}

func TestCancel(t *testing.T) {
	im := newImage(t, "amd64", archives(t)[:1], nil)
	r := newRegistry(t)
	got := mustOpen(t, r.push(t, im, "os", "v1"), options(t))
	layer := im.lastLayer(t)
	r.answer(func(w http.ResponseWriter, req *http.Request) bool {
		if !strings.HasSuffix(req.URL.Path, "/blobs/"+layer.String()) {
			return false
		}
		<-req.Context().Done()
		return true
	})
	ctx, cancel := context.WithCancel(t.Context())
	reader, err := got.OpenLayer(ctx, got.Layers[0], nil)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	time.AfterFunc(20*time.Millisecond, cancel)
	if _, err := io.ReadAll(reader); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v; want %v", err, context.Canceled)
	}
}

func TestCloseEarly(t *testing.T) {
	im := mustOpen(t, "oci:"+writeLayout(t, newImage(t, "amd64", archives(t), nil), "v1"), options(t))
	r, err := im.OpenLayer(t.Context(), im.Layers[0], nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(r, make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := r.Close(); err != nil {
			t.Errorf("Close() = %v", err)
		}
	}
}
