package oci

import (
	"bytes"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"
	godigest "github.com/opencontainers/go-digest"
)

// A testRegistry is a registry on the loopback interface whose answers a test
// can change.
type testRegistry struct {
	*httptest.Server
	mu    sync.Mutex
	wraps []func(http.ResponseWriter, *http.Request) bool
	gets  map[string]int // how often a path was read
}

func newRegistry(t *testing.T) *testRegistry {
	t.Helper()
	r := &testRegistry{gets: map[string]int{}}
	next := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.mu.Lock()
		wraps := r.wraps
		if req.Method == http.MethodGet {
			r.gets[req.URL.Path]++
		}
		r.mu.Unlock()
		for _, wrap := range wraps {
			if wrap(w, req) {
				return
			}
		}
		next.ServeHTTP(w, req)
	}))
	r.Config.ErrorLog = log.New(io.Discard, "", 0)
	t.Cleanup(r.Close)
	return r
}

// host returns "127.0.0.1:port".
func (r *testRegistry) host() string { return strings.TrimPrefix(r.URL, "http://") }

// answer has wrap answer all requests for which it returns true.
func (r *testRegistry) answer(wrap func(http.ResponseWriter, *http.Request) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.wraps = append(r.wraps, wrap)
}

// replace has the registry answer with data when it is asked for a blob.
func (r *testRegistry) replace(d godigest.Digest, data []byte) {
	r.answer(func(w http.ResponseWriter, req *http.Request) bool {
		if !strings.HasSuffix(req.URL.Path, "/blobs/"+d.String()) {
			return false
		}
		w.Write(data)
		return true
	})
}

// got returns how often a blob was read.
func (r *testRegistry) got(name string, d godigest.Digest) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.gets["/v2/"+name+"/blobs/"+d.String()]
}

// push puts an image, or a list with its images, into the registry and returns
// its reference.
func (r *testRegistry) push(t *testing.T, im testImage, name, tag string) string {
	t.Helper()
	for d, blob := range im.blobs {
		r.send(t, http.MethodPost, "/v2/"+name+"/blobs/uploads/?digest="+d.String(), "application/octet-stream", blob)
	}
	for d, blob := range im.blobs {
		if bytes.Contains(blob, []byte(`"config":{"mediaType"`)) {
			r.send(t, http.MethodPut, "/v2/"+name+"/manifests/"+d.String(), "application/vnd.oci.image.manifest.v1+json", blob)
		}
	}
	r.send(t, http.MethodPut, "/v2/"+name+"/manifests/"+tag, im.mediaType(t), im.manifest)
	return "docker://" + r.host() + "/" + name + ":" + tag
}

func (r *testRegistry) send(t *testing.T, method, path, mediaType string, data []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, r.URL+path, bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", mediaType)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		body, _ := io.ReadAll(resp.Body)
		t.Fatalf("%s %s: %s: %s", method, path, resp.Status, body)
	}
}
