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
	"net"
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

// large is made once: half of the tests want it.
var large struct {
	once    sync.Once
	archive []byte
}

// archives returns the archives of three layers, the first of which is larger
// than all buffers.
func archives(t *testing.T) [][]byte {
	t.Helper()
	large.once.Do(func() { large.archive = tarOf(t, "usr/large", random(5<<20)) })
	return [][]byte{
		large.archive,
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
	return Options{Architecture: "amd64", Root: t.TempDir(), TempDir: t.TempDir(), InsecureTLS: true} // newRegistry has no TLS
}

func tryOpen(t *testing.T, ref string, opts Options) (*Image, error) {
	t.Helper()
	parsed, err := ParseReference(ref)
	if err != nil {
		t.Fatal(err)
	}
	soon := patient
	soon.delay = time.Millisecond
	im, err := open(t.Context(), parsed, opts, soon)
	if err == nil {
		t.Cleanup(func() { im.Close() })
	}
	return im, err
}

func mustOpen(t *testing.T, ref string, opts Options) *Image {
	t.Helper()
	im, err := tryOpen(t, ref, opts)
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
		_, err := tryOpen(t, ref, opts)
		if want := "is not for linux/riscv64: it offers linux/arm64, linux/amd64"; err == nil || !strings.Contains(err.Error(), want) {
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
	if _, err := tryOpen(t, ref, options(t)); err == nil || !strings.Contains(err.Error(), "manifest digest") {
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
		{"another architecture", "oci:" + writeLayout(t, newImage(t, "s390x", one, nil), "v1"), "is not for linux/amd64: it is for linux/s390x"},
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
		_, err := tryOpen(t, tt.ref, opts)
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
// TestTLS has a server with TLS whose certificate nobody knows.
func TestTLS(t *testing.T) {
	server := httptest.NewTLSServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "https://")
	opts := options(t)
	if _, err := tryOpen(t, host+"/os:v1", opts); !errors.Is(err, ErrNotFound) {
		t.Errorf("unverified: error %v; want %v", err, ErrNotFound)
	}
	opts.InsecureTLS = false
	if _, err := tryOpen(t, host+"/os:v1", opts); err == nil || !strings.Contains(err.Error(), "certificate of an unknown authority") {
		t.Errorf("verified: error %v; want one about the certificate", err)
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

// TestAnswerWithoutTLS has a server that answers TLS with an error page without a header, as those
// do that take it for HTTP/0.9.
func TestAnswerWithoutTLS(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for c, err := l.Accept(); err == nil; c, err = l.Accept() {
			_, _ = c.Write([]byte("<!DOCTYPE HTML>\n<title>Bad request</title>\n"))
			c.Close()
		}
	}()
	opts := options(t)
	opts.InsecureTLS = false
	if _, err := tryOpen(t, l.Addr().String()+"/os:v1", opts); !errors.Is(err, ErrPlainHTTP) {
		t.Errorf("error %v; want one that there is no TLS", err)
	}
}

// TestBadArchives has blobs that are what the manifest says, but hold
// something else than the configuration says, or nothing that can be inflated.
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
		if _, err := tryOpen(t, tt.ref, options(t)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v; want one with %q", tt.name, err, tt.want)
		}
	}
}

// TestBrokenTransfer breaks the connection again and again.
// TestGivesUp reads from a registry that breaks each connection at once.
// TestStalls reads from a registry that stops in the middle without closing.
