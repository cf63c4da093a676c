package oci

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ProtonMail/go-crypto/openpgp"
	godigest "github.com/opencontainers/go-digest"
	imgspec "github.com/opencontainers/image-spec/specs-go/v1"
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
		want         string // in the error, or the verdict
	}{
		{"no file", "", layout, NoSignaturePolicy},
		{"accept", acceptAll, layout, SignatureNotRequired},
		{"reject", rejectAll, layout, "the signature policy refuses"},
		{"only this transport", onlyOCI, layout, SignatureNotRequired},
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
		img, err := tryOpen(t, tt.ref, opts)
		if err == nil && img.Signature != tt.want || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %q, error %v; want %q", tt.name, img.Signature, err, tt.want)
		}
	}
}

// TestDanglingPolicy has links in place of a policy: one that leads nowhere is no
// lack of a policy.
func TestDanglingPolicy(t *testing.T) {
	layout := "oci:" + writeLayout(t, newImage(t, "amd64", archives(t)[1:2], nil), "v1") + ":v1"
	for _, tt := range []struct{ target, link, want string }{
		{"gone", "etc/containers/policy.json", "etc/containers/policy.json is a symbolic link that leads nowhere"},
		{"gone", "usr/share/containers/policy.json", "usr/share/containers/policy.json is a symbolic link that leads nowhere"},
		{"gone", "etc/containers", "etc/containers is a symbolic link that leads nowhere"},
		{"policy.json", "etc/containers/policy.json", "too many levels of symbolic links"},
		{"../../there.json", "etc/containers/policy.json", ""},
	} {
		opts := options(t)
		writeBelow(t, opts.Root, "there.json", acceptAll)
		link := filepath.Join(opts.Root, tt.link)
		if err := os.MkdirAll(filepath.Dir(link), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(tt.target, link); err != nil {
			t.Fatal(err)
		}
		_, err := tryOpen(t, layout, opts)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s to %s: error %v; want %q", tt.link, tt.target, err, tt.want)
		}
	}
}

// TestDanglingRegistries does the same for what may block a registry.
func TestDanglingRegistries(t *testing.T) {
	r := newRegistry(t)
	ref := r.push(t, newImage(t, "amd64", archives(t)[1:2], nil), "os", "v1")
	for _, link := range []string{"etc/containers/registries.conf", "etc/containers/registries.conf.d/x.conf", "usr/share/containers/registries.conf.d"} {
		opts := options(t)
		mustOpen(t, ref, opts)
		path := filepath.Join(opts.Root, link)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("gone", path); err != nil {
			t.Fatal(err)
		}
		if _, err := tryOpen(t, ref, opts); err == nil || !strings.Contains(err.Error(), link+" is a symbolic link that leads nowhere") {
			t.Errorf("%s: error %v; want one that it leads nowhere", link, err)
		}
	}
}

func TestPolicyFile(t *testing.T) {
	opts := options(t)
	opts.PolicyFile = "/nonexistent"
	layout := "oci:" + writeLayout(t, newImage(t, "amd64", archives(t)[1:2], nil), "v1") + ":v1"
	if _, err := tryOpen(t, layout, opts); err == nil || !strings.Contains(err.Error(), "/nonexistent") {
		t.Errorf("policy file that is not there: error %v; want one that names it", err)
	}
	opts.PolicyFile = filepath.Join(opts.Root, "mine.json")
	write(t, opts.PolicyFile, []byte(acceptAll))
	if img, want := mustOpen(t, layout, opts), "not required ("+opts.PolicyFile+")"; img.Signature != want {
		t.Errorf("Signature is %q; want %q", img.Signature, want)
	}
}

// TestPolicyFirst sees to it that a refused image's configuration and layers
// are not even asked for.
func TestPolicyFirst(t *testing.T) {
	r := newRegistry(t)
	ref := r.push(t, newImage(t, "amd64", archives(t)[1:2], nil), "os", "v1")
	opts := options(t)
	writeBelow(t, opts.Root, "etc/containers/policy.json", rejectAll)
	if _, err := tryOpen(t, ref, opts); err == nil {
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
		if _, err := tryOpen(t, ref, opts); (err == nil) != tt.ok {
			t.Errorf("%s: error %v; want success %v", tt.name, err, tt.ok)
		}
	}
	opts := options(t)
	opts.AuthFile = filepath.Join(opts.Root, "mine.json")
	if _, err := tryOpen(t, ref, opts); err == nil || !strings.Contains(err.Error(), "mine.json") {
		t.Errorf("file that is not there: error %v; want one that names it", err)
	}
	write(t, opts.AuthFile, []byte(auth("secret")))
	mustOpen(t, ref, opts)
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

// TestSigned has an image with a signature that the policy wants, made by the
// right key or by another, or of another manifest.
func TestSigned(t *testing.T) {
	const name = "example.org/os:v1"
	right, wrong := newKey(t), newKey(t)
	im := newImage(t, "amd64", archives(t)[1:2], nil)
	other := newImage(t, "amd64", archives(t)[2:], nil)
	var public bytes.Buffer
	if err := right.Serialize(&public); err != nil {
		t.Fatal(err)
	}
	policy := string(encode(t, map[string]any{"default": []any{map[string]any{
		"type": "signedBy", "keyType": "GPGKeys",
		"keyData":        base64.StdEncoding.EncodeToString(public.Bytes()),
		"signedIdentity": map[string]any{"type": "exactReference", "dockerReference": name},
	}}}))
	tests := []struct {
		name      string
		signature []byte
		ok        bool
	}{
		{"right", signImage(t, right, im, name), true},
		{"another key", signImage(t, wrong, im, name), false},
		{"another manifest", signImage(t, right, other, name), false},
		{"another name", signImage(t, right, im, "example.org/other:v1"), false},
	}
	for _, tt := range tests {
		dir := writeDir(t, im)
		write(t, filepath.Join(dir, "signature-1"), tt.signature)
		opts := options(t)
		writeBelow(t, opts.Root, "etc/containers/policy.json", policy)
		img, err := tryOpen(t, "ostree-image-signed:dir:"+dir, opts)
		if (err == nil) != tt.ok || err == nil && img.Signature != Signed {
			t.Errorf("%s: error %v; want success %v", tt.name, err, tt.ok)
		}
	}
}

func newKey(t *testing.T) *openpgp.Entity {
	t.Helper()
	key, err := openpgp.NewEntity("Test", "", "test@example.org", nil)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// signImage returns a signature as containers-signature(5) has it.
func signImage(t *testing.T, key *openpgp.Entity, im testImage, name string) []byte {
	t.Helper()
	var buf bytes.Buffer
	w, err := openpgp.Sign(&buf, key, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(encode(t, map[string]any{
		"critical": map[string]any{
			"type":     "atomic container signature",
			"image":    map[string]any{"docker-manifest-digest": im.digest()},
			"identity": map[string]any{"docker-reference": name},
		},
		"optional": map[string]any{},
	})); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// TestPlainHTTP has a registry without TLS. That it is on the loopback interface does
// not make it one to be trusted.
func TestPlainHTTP(t *testing.T) {
	r := newRegistry(t)
	ref := r.push(t, newImage(t, "amd64", archives(t)[1:2], nil), "os", "v1")
	opts := options(t)
	mustOpen(t, ref, opts)
	before := maps.Clone(r.gets)
	opts.InsecureTLS = false
	if _, err := tryOpen(t, ref, opts); err == nil || !strings.Contains(err.Error(), "has no TLS, and plain HTTP is refused") {
		t.Errorf("error %v; want one that there is no TLS", err)
	}
	if !maps.Equal(r.gets, before) {
		t.Errorf("read in plain text: %v; want no more than before, %v", r.gets, before)
	}
	opts = options(t) // the library has read the configuration of the other
	opts.InsecureTLS = false
	writeBelow(t, opts.Root, "etc/containers/registries.conf", "[[registry]]\nlocation = \""+r.host()+"\"\ninsecure = true\n")
	mustOpen(t, ref, opts)
}

// TestSignedInRegistry has an image of a registry whose signatures are elsewhere, as
// registries.d(5) says.
func TestSignedInRegistry(t *testing.T) {
	const name = "example.org/os:v1"
	key := newKey(t)
	var public bytes.Buffer
	if err := key.Serialize(&public); err != nil {
		t.Fatal(err)
	}
	im := newImage(t, "amd64", archives(t)[1:2], nil)
	r := newRegistry(t)
	ref := r.push(t, im, "os", "v1")
	for _, signed := range []bool{false, true} {
		opts := options(t)
		opts.InsecureTLS = true
		lookaside := t.TempDir()
		if signed {
			dir := "os@" + strings.Replace(im.digest().String(), ":", "=", 1)
			writeBelow(t, lookaside, filepath.Join(dir, "signature-1"), string(signImage(t, key, im, name)))
		}
		writeBelow(t, opts.Root, "etc/containers/registries.d/default.yaml", "default-docker:\n  lookaside: file://"+lookaside+"\n")
		writeBelow(t, opts.Root, "etc/containers/policy.json", string(encode(t, map[string]any{"default": []any{map[string]any{
			"type": "signedBy", "keyType": "GPGKeys",
			"keyData":        base64.StdEncoding.EncodeToString(public.Bytes()),
			"signedIdentity": map[string]any{"type": "exactReference", "dockerReference": name},
		}}})))
		if _, err := tryOpen(t, "ostree-image-signed:"+ref, opts); (err == nil) != signed {
			t.Errorf("signed: %v: error %v", signed, err)
		}
	}
}

// TestSigstore has an image with a signature in its registry as sigstore makes them, by
// the right key, another, of another manifest, or none, and one that is no signature.
func TestSigstore(t *testing.T) {
	const name = "example.org/os:v1"
	right, wrong := newECKey(t), newECKey(t)
	im := newImage(t, "amd64", archives(t)[1:2], nil)
	public, err := x509.MarshalPKIXPublicKey(&right.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	policy := string(encode(t, map[string]any{"default": []any{map[string]any{
		"type":           "sigstoreSigned",
		"keyData":        base64.StdEncoding.EncodeToString(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})),
		"signedIdentity": map[string]any{"type": "exactReference", "dockerReference": name},
	}}}))
	tests := []struct {
		name   string
		key    *ecdsa.PrivateKey // nil for no signature
		digest godigest.Digest
		ok     bool
	}{
		{"right", right, im.digest(), true},
		{"another key", wrong, im.digest(), false},
		{"another manifest", right, godigest.FromString("other"), false},
		{"none", nil, "", false},
	}
	for _, tt := range tests {
		r := newRegistry(t)
		ref := r.push(t, im, "os", "v1")
		if tt.key != nil {
			r.attach(t, tt.key, im.digest(), tt.digest, name)
		}
		opts := options(t)
		opts.InsecureTLS, opts.TempDir = true, t.TempDir()
		writeBelow(t, opts.Root, "etc/containers/policy.json", policy)
		img, err := tryOpen(t, "ostree-image-signed:"+ref, opts)
		if (err == nil) != tt.ok || err == nil && img.Signature != Signed {
			t.Errorf("%s: error %v; want success %v", tt.name, err, tt.ok)
		}
		if left, err := os.ReadDir(opts.TempDir); err != nil || len(left) > 0 {
			t.Errorf("%s: %v is left, %v", tt.name, left, err)
		}
	}
}

func newECKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// attach puts a signature that says it is of a manifest where those of at are.
func (r *testRegistry) attach(t *testing.T, key *ecdsa.PrivateKey, at, signed godigest.Digest, name string) {
	t.Helper()
	payload := encode(t, map[string]any{
		"critical": map[string]any{
			"type":     "cosign container image signature",
			"image":    map[string]any{"docker-manifest-digest": signed},
			"identity": map[string]any{"docker-reference": name},
		},
		"optional": map[string]any{},
	})
	sum := sha256.Sum256(payload)
	signature, err := ecdsa.SignASN1(rand.Reader, key, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	descriptor := func(mediaType string, data []byte) imgspec.Descriptor {
		d := godigest.FromBytes(data)
		r.send(t, http.MethodPost, "/v2/os/blobs/uploads/?digest="+d.String(), "application/octet-stream", data)
		return imgspec.Descriptor{MediaType: mediaType, Digest: d, Size: int64(len(data))}
	}
	layer := descriptor("application/vnd.dev.cosign.simplesigning.v1+json", payload)
	layer.Annotations = map[string]string{"dev.cosignproject.cosign/signature": base64.StdEncoding.EncodeToString(signature)}
	m := imgspec.Manifest{MediaType: imgspec.MediaTypeImageManifest, Config: descriptor(imgspec.MediaTypeImageConfig, []byte("{}")), Layers: []imgspec.Descriptor{layer}}
	m.SchemaVersion = 2
	r.send(t, http.MethodPut, "/v2/os/manifests/sha256-"+at.Encoded()+".sig", imgspec.MediaTypeImageManifest, encode(t, m))
}
