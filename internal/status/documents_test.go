package status

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	godigest "github.com/opencontainers/go-digest"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/repo"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/stream"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
	"github.com/sysupdate-image/sysupdate-image/internal/format/uki/ukitest"
	"github.com/sysupdate-image/sysupdate-image/internal/machine"
)

// putDocument records a document as bootc does, and returns its digest.
func putDocument(t *testing.T, repo *repo.Repository, prefix string, kind stream.ContentType, text, ref string, to digest.Digest) (string, digest.Digest) {
	t.Helper()
	object, err := repo.PutObject([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	w := stream.NewWriter(repo.Algorithm(), kind)
	w.External(object, int64(len(text)))
	if ref != "" {
		w.Reference(ref, to)
	}
	name := godigest.FromString(text).String()
	stream, err := repo.PutStream(prefix+name, w)
	if err != nil {
		t.Fatal(err)
	}
	return name, stream
}

// A deployment that bootc made has no version, date or architecture in its origin.
func TestReadImage(t *testing.T) {
	dir := t.TempDir()
	repo, err := repo.Init(filepath.Join(dir, "composefs"), repo.Options{Insecure: true})
	if err != nil {
		t.Fatal(err)
	}
	defer repo.Close()
	config, blob := putDocument(t, repo, "oci-config-", stream.OCIConfig,
		`{"architecture":"arm64","os":"linux","created":"2026-05-06T07:08:09.5Z","config":{"Labels":{"org.opencontainers.image.version":"label"}}}`, "", digest.Digest{})
	manifest, _ := putDocument(t, repo, "oci-manifest-", stream.OCIManifest,
		`{"schemaVersion":2,"annotations":{"org.opencontainers.image.version":"42.1"}}`, "config:"+config, blob)
	id := deployment.ID(strings.Repeat("a", 128))
	origin := filepath.Join(dir, id.OriginFile())
	if err := os.MkdirAll(filepath.Dir(origin), 0o755); err != nil {
		t.Fatal(err)
	}
	text := "[origin]\ncontainer-image-reference=ostree-unverified-image:docker://example.org/os:1\n[boot]\nboot_type=bls\ndigest=aa\n[image]\nmanifest_digest=" + manifest + "\n"
	if err := os.WriteFile(origin, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	s, err := Of(machine.Place{Dir: dir})
	if err != nil || len(s.Deployments) != 1 {
		t.Fatalf("Of = %+v, %v; want a deployment", s, err)
	}
	d := s.Deployments[0]
	if d.Origin.Version != "42.1" || d.Origin.Created != "2026-05-06T07:08:09Z" || d.Architecture != "arm64" {
		t.Errorf("version %q, created %q, architecture %q; want what manifest and configuration say", d.Origin.Version, d.Origin.Created, d.Architecture)
	}
	if e := d.json(false); e.Image.Architecture != "arm64" {
		t.Errorf("architecture is %q; want arm64", e.Image.Architecture)
	}
}

// What a unified kernel image was sealed for is in its own command line.
func TestSealedOptional(t *testing.T) {
	for mark, want := range map[string]bool{"": false, "?": true} {
		dir := t.TempDir()
		id := deployment.ID(strings.Repeat("a", 128))
		files := map[string]string{
			id.OriginFile(): "",
			"boot/EFI/Linux/bootc/bootc_composefs-" + string(id) + ".efi": string(ukitest.UKI("composefs=" + mark + string(id))),
			"boot/loader/entries/bootc_os-1-1.conf":                       "title OS\nversion 1\nsort-key bootc-os-0\nuki /EFI/Linux/bootc/bootc_composefs-" + string(id) + ".efi\n",
		}
		for name, text := range files {
			path := filepath.Join(dir, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		s, err := Of(machine.Place{Dir: dir})
		if err != nil || len(s.Deployments) != 1 || s.Deployments[0].VerityOptional != want {
			t.Errorf("composefs=%s: %+v, %v; want optional %v", mark, s.Deployments, err, want)
		}
	}
}
