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
	"path"
	"path/filepath"
	"strings"
	"sync"
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

	referrers sync.Map // indexes of the artifacts of a manifest, by its digest
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
		if index, ok := r.referrers.Load(path.Base(request.URL.Path)); ok && strings.Contains(request.URL.Path, "/referrers/") {
			w.Header().Set("Content-Type", "application/vnd.oci.image.index.v1+json")
			_, _ = w.Write(index.([]byte))
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

// Attach adds an artifact of a type, such as an SBOM, to a manifest that is here: to be found by
// the API for referrers, or, as in registries without that, by a tag.
func (r *Registry) Attach(manifestDigest, artifactType string, data []byte, byTag bool) error {
	config, blob := digestOf([]byte("{}")), digestOf(data)
	for d, content := range map[string][]byte{config: []byte("{}"), blob: data} {
		if err := r.send("POST", "/v2/os/blobs/uploads/?digest="+d, "", content); err != nil {
			return err
		}
	}
	const manifestType = "application/vnd.oci.image.manifest.v1+json"
	manifest := fmt.Appendf(nil, `{"schemaVersion": 2, "mediaType": %q, "artifactType": %q, "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": %q, "size": 2},
		"layers": [{"mediaType": %q, "digest": %q, "size": %d}], "subject": {"mediaType": %q, "digest": %q, "size": 1}}`,
		manifestType, artifactType, config, artifactType, blob, len(data), manifestType, manifestDigest)
	d := digestOf(manifest)
	if err := r.send("PUT", "/v2/os/manifests/"+d, manifestType, manifest); err != nil {
		return err
	}
	index := fmt.Appendf(nil, `{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [{"mediaType": %q, "artifactType": %q, "digest": %q, "size": %d}]}`,
		manifestType, artifactType, d, len(manifest))
	if !byTag {
		r.referrers.Store(manifestDigest, index)
		return nil
	}
	return r.send("PUT", "/v2/os/manifests/"+strings.Replace(manifestDigest, ":", "-", 1), "application/vnd.oci.image.index.v1+json", index)
}

// Misattach has the artifacts of one manifest listed as those of another, whose subject they do not name.
func (r *Registry) Misattach(of, to string) {
	index, _ := r.referrers.Load(of)
	r.referrers.Store(to, index)
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
