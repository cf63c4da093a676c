package ocitest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"

	"github.com/google/go-containerregistry/pkg/registry"
)

// A Registry is a registry in memory, with one repository. Close it.
type Registry struct {
	*httptest.Server
	hidden  atomic.Value // string: what a path has in it that is not found
	damaged atomic.Value // string: what a path has in it that comes damaged
	pace    pacer
	stalled atomic.Bool // nothing is answered
	asked   atomic.Bool // something was not
}

// NewRegistry starts an empty registry.
func NewRegistry() *Registry {
	r := &Registry{}
	r.hidden.Store("")
	r.damaged.Store("")
	handler := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		if r.stalled.Load() {
			r.asked.Store(true)
			<-request.Context().Done()
			return
		}
		if hidden := r.hidden.Load().(string); hidden != "" && strings.Contains(request.URL.Path, hidden) {
			code := "BLOB_UNKNOWN"
			if strings.Contains(request.URL.Path, "/manifests/") {
				code = "MANIFEST_UNKNOWN"
			}
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprintf(w, `{"errors": [{"code": %q, "message": "unknown"}]}`, code)
			return
		}
		if damaged := r.damaged.Load().(string); damaged != "" && strings.Contains(request.URL.Path, damaged) {
			w = &damager{ResponseWriter: w}
		}
		if r.pace.broken() {
			panic(http.ErrAbortHandler)
		}
		handler.ServeHTTP(r.pace.of(w, request), request)
	}))
	return r
}

// Name returns the name of the repository, which a tag can be added to.
func (r *Registry) Name() string { return strings.TrimPrefix(r.URL, "http://") + "/os" }

// Hide makes the registry forget everything whose path has the text in it, such
// as a digest. It remembers when the text is "".
func (r *Registry) Hide(text string) { r.hidden.Store(text) }

// Stall has the registry answer nothing any more. Before Close, close the connections.
func (r *Registry) Stall() { r.stalled.Store(true) }

// Asked reports whether it was asked since it stalled.
func (r *Registry) Asked() bool { return r.asked.Load() }

// Damage makes the registry flip a bit of everything whose path has the text in
// it.
func (r *Registry) Damage(text string) { r.damaged.Store(text) }

// A damager flips a bit of the first bytes that are written.
type damager struct {
	http.ResponseWriter
	done bool
}

func (d *damager) Write(p []byte) (int, error) {
	if !d.done && len(p) > 0 {
		d.done = true
		p = bytes.Clone(p)
		p[len(p)/2] ^= 1
	}
	return d.ResponseWriter.Write(p)
}

// Push copies the blobs of an OCI layout to the registry, and gives the image that
// has a tag there that tag here.
func (r *Registry) Push(dir, tag string) error { return r.PushAs(dir, tag, tag) }

// PushAs is Push with another tag here.
func (r *Registry) PushAs(dir, tag, here string) error {
	blobs := filepath.Join(dir, "blobs/sha256")
	list, err := os.ReadDir(blobs)
	if err != nil {
		return err
	}
	for _, d := range list {
		data, err := os.ReadFile(filepath.Join(blobs, d.Name()))
		if err != nil {
			return err
		}
		if err := r.send("POST", "/v2/os/blobs/uploads/?digest=sha256:"+d.Name(), "", data); err != nil {
			return err
		}
	}
	data, err := os.ReadFile(filepath.Join(dir, "index.json"))
	if err != nil {
		return err
	}
	var index struct {
		Manifests []descriptor `json:"manifests"`
	}
	if err := json.Unmarshal(data, &index); err != nil {
		return err
	}
	for _, m := range index.Manifests {
		if m.Annotations["org.opencontainers.image.ref.name"] != tag {
			continue
		}
		data, err := os.ReadFile(filepath.Join(blobs, strings.TrimPrefix(m.Digest, "sha256:")))
		if err != nil {
			return err
		}
		return r.send("PUT", "/v2/os/manifests/"+here, m.MediaType, data)
	}
	return fmt.Errorf("%s has no tag %s", dir, tag)
}

func (r *Registry) send(method, path, mediaType string, data []byte) error {
	request, err := http.NewRequest(method, r.URL+path, bytes.NewReader(data))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", mediaType)
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusCreated {
		return fmt.Errorf("%s %s: %s", method, path, answer.Status)
	}
	return nil
}
