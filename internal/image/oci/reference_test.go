package oci

import (
	"os"
	"strings"
	"testing"
)

func TestParseReference(t *testing.T) {
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	digest := "sha256:" + strings.Repeat("ab", 32)
	tests := []struct{ in, want string }{
		{"registry.example.org/os:stable", "docker://registry.example.org/os:stable"},
		{"docker://registry.example.org/os", "docker://registry.example.org/os:latest"},
		{"localhost:5000/os:stable", "docker://localhost:5000/os:stable"},
		{"docker.io/library/debian", "docker://docker.io/library/debian:latest"},
		{"docker.io/debian:13", "docker://docker.io/library/debian:13"},
		{"quay.io/os/base@" + digest, "docker://quay.io/os/base@" + digest},
		{"quay.io/os/base:stable@" + digest, "docker://quay.io/os/base@" + digest},
		{"oci:/srv/os:v1", "oci:/srv/os:v1"},
		{"oci:/srv/os", "oci:/srv/os"},
		{"oci:os:v1", "oci:" + wd + "/os:v1"},
		{"oci-archive:/srv/os.tar:v1", "oci-archive:/srv/os.tar:v1"},
		{"docker-archive:/srv/os.tar:example.org/os:v1", "docker-archive:/srv/os.tar:example.org/os:v1"},
		{"docker-archive:os.tar:@1", "docker-archive:" + wd + "/os.tar:@1"},
		{"dir:/srv/os", "dir:/srv/os"},
		{"dir:os:1", "dir:" + wd + "/os:1"},
		{"ostree-unverified-image:docker://quay.io/os/base:1", "docker://quay.io/os/base:1"},
		{"ostree-unverified-image:registry:quay.io/os/base:1", "docker://quay.io/os/base:1"},
		{"ostree-unverified-image:oci:/srv/os:v1", "oci:/srv/os:v1"},
		{"ostree-unverified-registry:quay.io/os/base:1", "docker://quay.io/os/base:1"},
		{"ostree-image-signed:docker://quay.io/os/base:1", "ostree-image-signed:docker://quay.io/os/base:1"},
	}
	for _, tt := range tests {
		ref, err := ParseReference(tt.in)
		if err != nil || ref.String() != tt.want {
			t.Errorf("ParseReference(%q) = %v, %v; want %v", tt.in, ref, err, tt.want)
			continue
		}
		again, err := ParseReference(ref.Origin())
		if err != nil || again.String() != tt.want {
			t.Errorf("ParseReference(%q) = %v, %v; want %v", ref.Origin(), again, err, tt.want)
		}
	}
}

// TestNoRegistry refuses names that any registry could mean, and tells the full
// name. A machine that follows one already goes on with it.
func TestNoRegistry(t *testing.T) {
	digest := "@sha256:" + strings.Repeat("ab", 32)
	for in, want := range map[string]string{
		"debian":                               "docker.io/library/debian",
		"os:stable":                            "docker.io/library/os:stable",
		"docker:27":                            "docker.io/library/docker:27",
		"example/os:stable":                    "docker.io/example/os:stable",
		"os:stable" + digest:                   "docker.io/library/os:stable" + digest,
		"docker://os:stable":                   "docker://docker.io/library/os:stable",
		"ostree-unverified-registry:os:stable": "ostree-unverified-registry:docker.io/library/os:stable",
		"ostree-image-signed:docker://library/os": "ostree-image-signed:docker://docker.io/library/os",
	} {
		ref, err := ParseReference(in)
		if err == nil || !strings.HasSuffix(err.Error(), "has no registry; for Docker Hub, use "+want) {
			t.Errorf("ParseReference(%q) = %v, %v; want an error that ends in %q", in, ref, err, want)
		}
		followed, err := ParseOrigin(in)
		full, fullErr := ParseReference(want)
		if err != nil || fullErr != nil || followed.image.DockerReference().String() != full.image.DockerReference().String() {
			t.Errorf("ParseOrigin(%q) = %v, %v; want %v, %v", in, followed, err, full, fullErr)
		}
	}
}

func TestHasTransport(t *testing.T) {
	for _, s := range []string{"oci:os:1", "docker://debian", "dir:os", "docker-archive:x", "containers-storage:x", "ostree-unverified-registry:x/y"} {
		if !HasTransport(s) {
			t.Errorf("HasTransport(%q) is false", s)
		}
	}
	for _, s := range []string{"debian", "debian:13", "docker:27", "oci", "localhost:5000/os", "registry.example.org/oci:1"} {
		if HasTransport(s) {
			t.Errorf("HasTransport(%q) is true", s)
		}
	}
}

func TestPinned(t *testing.T) {
	digest := "sha256:" + strings.Repeat("ab", 32)
	for in, want := range map[string]string{
		"registry.example.org/os:stable":                         "docker://registry.example.org/os@" + digest,
		"localhost:5000/os@sha256:" + strings.Repeat("cd", 32):   "docker://localhost:5000/os@" + digest,
		"ostree-image-signed:docker://registry.example.org/os:1": "ostree-image-signed:docker://registry.example.org/os@" + digest,
		"oci:/srv/os:v1": "oci:/srv/os:v1",
	} {
		ref, err := ParseReference(in)
		if err != nil {
			t.Fatal(err)
		}
		pinned, err := ref.Pinned(digest)
		if err != nil || pinned.String() != want {
			t.Errorf("%s pinned = %v, %v; want %s", in, pinned, err, want)
		}
	}
	ref, err := ParseReference("registry.example.org/os")
	if err != nil {
		t.Fatal(err)
	}
	if pinned, err := ref.Pinned("sha256:12"); err == nil {
		t.Errorf("pinned by sha256:12 = %v; want an error", pinned)
	}
}

func TestWithTag(t *testing.T) {
	for in, want := range map[string]string{
		"registry.example.org/os:stable":                         "docker://registry.example.org/os:next",
		"localhost:5000/os":                                      "docker://localhost:5000/os:next",
		"localhost:5000/os@sha256:" + strings.Repeat("cd", 32):   "docker://localhost:5000/os:next",
		"ostree-image-signed:docker://registry.example.org/os:1": "ostree-image-signed:docker://registry.example.org/os:next",
		"oci:/srv/os:v1":                                         "oci:/srv/os:next",
		"oci:/srv/os":                                            "oci:/srv/os:next",
		"ostree-image-signed:oci:/srv/os:v1":                     "ostree-image-signed:oci:/srv/os:next",
		"oci-archive:/srv/os.tar:v1":                             "oci-archive:/srv/os.tar:next",
	} {
		ref, err := ParseReference(in)
		if err != nil {
			t.Fatal(err)
		}
		tagged, err := ref.WithTag("next")
		if err != nil || tagged.String() != want {
			t.Errorf("%s with a tag = %v, %v; want %s", in, tagged, err, want)
		}
	}
	for _, in := range []string{"dir:/srv/os", "registry.example.org/os"} {
		ref, err := ParseReference(in)
		if err != nil {
			t.Fatal(err)
		}
		if tagged, err := ref.WithTag("a b"); err == nil {
			t.Errorf("%s with the tag 'a b' = %v; want an error", in, tagged)
		}
	}
}

func TestParseReferenceErrors(t *testing.T) {
	tests := []struct{ in, want string }{
		{"", "invalid reference format"},
		{"docker://", "invalid reference format"},
		{"./os", "it is a path: put oci:"},
		{"/var/os", "it is a path: put oci:"},
		{"Registry.example.org/OS", "must be lowercase"},
		{"registry.example.org/os:", "invalid reference format"},
		{"https://registry.example.org/os", "invalid reference format"},
		{"oci:", "no path"},
		{"dir:", "no path"},
		{"docker-archive:/x:@-1", "negative"},
		{"containers-storage:os", "cannot update from containers-storage"},
		{"ostree-remote-image:remote:docker://quay.io/os", "OSTree remotes"},
	}
	for _, tt := range tests {
		ref, err := ParseReference(tt.in)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("ParseReference(%q) = %v, %v; want an error with %q", tt.in, ref, err, tt.want)
		}
	}
}

func TestReferenceParts(t *testing.T) {
	ref, err := ParseReference("ostree-image-signed:docker://localhost:5000/os:1")
	if err != nil {
		t.Fatal(err)
	}
	if !ref.MustBeSigned() || ref.Transport() != "docker" || ref.registry() != "localhost:5000" {
		t.Errorf("%v: MustBeSigned, Transport, registry = %v, %q, %q; want true, docker, localhost:5000",
			ref, ref.MustBeSigned(), ref.Transport(), ref.registry())
	}
	if got := (Reference{}).String(); got != "" {
		t.Errorf("zero Reference prints %q; want nothing", got)
	}
}

// FuzzParseReference: what is accepted is kept in an .origin file, and means the
// same there.
func FuzzParseReference(f *testing.F) {
	for _, s := range []string{
		"registry.example.org/os:stable", "localhost:5000/os", "oci:/srv/os:v1", "dir:os:1", "docker-archive:os.tar:@1",
		"ostree-unverified-image:docker://quay.io/os/base:1", "quay.io/os@sha256:" + strings.Repeat("0c", 32),
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		ref, err := ParseReference(s)
		if err != nil {
			return
		}
		again, err := ParseReference(ref.Origin())
		if err != nil || again.String() != ref.String() {
			t.Errorf("ParseReference(%q) = %v; of its origin %q: %v, %v", s, ref, ref.Origin(), again, err)
		}
	})
}

func TestSpell(t *testing.T) {
	for _, tt := range []struct {
		transport, target string
		signed            bool
		want              string
	}{
		{"registry", "example.org/os:1", false, "docker://example.org/os:1"},
		{"registry", "oci:/os", false, "oci:/os"},
		{"oci", "/os:1", false, "oci:/os:1"},
		{"registry", "example.org/os", true, "ostree-image-signed:docker://example.org/os"},
	} {
		if got := Spell(tt.transport, tt.target, tt.signed); got != tt.want {
			t.Errorf("Spell(%q, %q, %v) = %q; want %q", tt.transport, tt.target, tt.signed, got, tt.want)
		}
	}
}
