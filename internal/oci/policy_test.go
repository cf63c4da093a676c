package oci

import (
	"encoding/base64"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	acceptAll = `{"default":[{"type":"insecureAcceptAnything"}]}`
	rejectAll = `{"default":[{"type":"reject"}]}`
	onlyOCI   = `{"default":[{"type":"reject"}],"transports":{"oci":{"":[{"type":"insecureAcceptAnything"}]}}}`
	signedBy  = `{"default":[{"type":"signedBy","keyType":"GPGKeys","keyPath":"/nonexistent"}]}`
)

// writeBelow writes a file below root, with its directories.
func writeBelow(t *testing.T, root, name, data string) {
	t.Helper()
	path := filepath.Join(root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	write(t, path, []byte(data))
}

func TestPolicy(t *testing.T) {
	layout := "oci:" + writeLayout(t, newImage(t, "amd64", archives(t)[1:2], nil), "v1") + ":v1"
	tests := []struct {
		name, policy string
		ref          string
		want         string // in the error, "" if there is none
	}{
		{"no file", "", layout, ""},
		{"accept", acceptAll, layout, ""},
		{"reject", rejectAll, layout, "the signature policy refuses"},
		{"only this transport", onlyOCI, layout, ""},
		{"not signed", signedBy, layout, "the signature policy refuses"},
		{"nonsense", "{", layout, "cannot read the signature policy"},
		{"must be signed, accept", acceptAll, "ostree-image-signed:" + layout, "must be signed"},
		{"must be signed, no file", "", "ostree-image-signed:" + layout, "must be signed"},
		{"must be signed, accept this transport", onlyOCI, "ostree-image-signed:" + layout, "must be signed"},
		{"must be signed, is not", signedBy, "ostree-image-signed:" + layout, "the signature policy refuses"},
	}
	for _, tt := range tests {
		opts := options(t)
		if tt.policy != "" {
			writeBelow(t, opts.Root, "etc/containers/policy.json", tt.policy)
		}
		_, err := open(t, tt.ref, opts)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v; want %q", tt.name, err, tt.want)
		}
	}
}

func TestPolicyFile(t *testing.T) {
	opts := options(t)
	opts.PolicyFile = "/nonexistent"
	layout := "oci:" + writeLayout(t, newImage(t, "amd64", archives(t)[1:2], nil), "v1") + ":v1"
	if _, err := open(t, layout, opts); err == nil || !strings.Contains(err.Error(), "/nonexistent") {
		t.Errorf("policy file that is not there: error %v; want one that names it", err)
	}
}

// TestPolicyFirst sees to it that a refused image's configuration and layers
// are not even asked for.
func TestPolicyFirst(t *testing.T) {
	r := newRegistry(t)
	ref := r.push(t, newImage(t, "amd64", archives(t)[1:2], nil), "os", "v1")
	opts := options(t)
	writeBelow(t, opts.Root, "etc/containers/policy.json", rejectAll)
	if _, err := open(t, ref, opts); err == nil {
		t.Error("no error; want one")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for path := range r.gets {
		if strings.Contains(path, "/blobs/") {
			t.Errorf("%s was read", path)
		}
	}
}

func TestCredentials(t *testing.T) {
	r := newRegistry(t)
	ref := r.push(t, newImage(t, "amd64", archives(t)[1:2], nil), "os", "v1")
	r.answer(func(w http.ResponseWriter, req *http.Request) bool {
		if user, password, _ := req.BasicAuth(); user == "me" && password == "secret" {
			return false
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
		w.WriteHeader(http.StatusUnauthorized)
		return true
	})
	auth := func(password string) string {
		return `{"auths":{"` + r.host() + `":{"auth":"` + base64.StdEncoding.EncodeToString([]byte("me:"+password)) + `"}}}`
	}
	tests := []struct {
		name  string
		files map[string]string
		ok    bool
	}{
		{"none", nil, false},
		{"bootc's in /etc", map[string]string{"etc/ostree/auth.json": auth("secret")}, true},
		{"bootc's in /usr/lib", map[string]string{"usr/lib/ostree/auth.json": auth("secret")}, true},
		{"/run before /etc", map[string]string{"run/ostree/auth.json": auth("secret"), "etc/ostree/auth.json": auth("wrong")}, true},
		{"wrong", map[string]string{"run/ostree/auth.json": auth("wrong"), "etc/ostree/auth.json": auth("secret")}, false},
	}
	for _, tt := range tests {
		opts := options(t)
		for name, data := range tt.files {
			writeBelow(t, opts.Root, name, data)
		}
		if _, err := open(t, ref, opts); (err == nil) != tt.ok {
			t.Errorf("%s: error %v; want success %v", tt.name, err, tt.ok)
		}
	}
	opts := options(t)
	opts.AuthFile = filepath.Join(opts.Root, "mine.json")
	if _, err := open(t, ref, opts); err == nil || !strings.Contains(err.Error(), "mine.json") {
		t.Errorf("file that is not there: error %v; want one that names it", err)
	}
	write(t, opts.AuthFile, []byte(auth("secret")))
	mustOpen(t, ref, opts)
}

func TestLoopback(t *testing.T) {
	for _, tt := range []struct {
		registry string
		want     bool
	}{
		{"localhost", true}, {"localhost:5000", true}, {"127.0.0.1:5000", true}, {"127.1.2.3", true}, {"[::1]:5000", true},
		{"", false}, {"localhost.example.org", false}, {"example.org:5000", false}, {"10.0.0.1:5000", false},
	} {
		if got := isLoopback(tt.registry); got != tt.want {
			t.Errorf("isLoopback(%q) = %v; want %v", tt.registry, got, tt.want)
		}
	}
}

func TestStaleTempDirs(t *testing.T) {
	parent := t.TempDir()
	used, err := newTempDir(parent)
	if err != nil {
		t.Fatal(err)
	}
	defer used.Close()
	stale := filepath.Join(parent, tempPrefix+"1")
	others := filepath.Join(parent, "other-1")
	for _, dir := range []string{stale, others} {
		if err := os.MkdirAll(filepath.Join(dir, "oci/blobs"), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	removeStale(parent)
	for path, want := range map[string]bool{used.path: true, stale: false, others: true} {
		if _, err := os.Stat(path); (err == nil) != want {
			t.Errorf("%s is there: %v; want %v", path, err == nil, want)
		}
	}
}
