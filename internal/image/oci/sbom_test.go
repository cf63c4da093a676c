package oci

import (
	"errors"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	ocitest "github.com/sysupdate-image/sysupdate-image/internal/testing/oci"
)

// An SBOM is found by the API for referrers and by the tag that stands for a manifest. That
// there is none is no error; a damaged one is.
func TestSBOM(t *testing.T) {
	layout := t.TempDir()
	if err := ocitest.WriteLayout(layout, "1", ocitest.Image{Layers: [][]byte{make([]byte, 1024)}}); err != nil {
		t.Fatal(err)
	}
	for _, byTag := range []bool{false, true} {
		server := ocitest.NewRegistry()
		defer server.Close()
		if err := server.Push(layout, "1"); err != nil {
			t.Fatal(err)
		}
		ref, err := ParseReference(server.Name() + ":1")
		if err != nil {
			t.Fatal(err)
		}
		img, err := Open(t.Context(), ref, Options{InsecureTLS: true})
		if err != nil {
			t.Fatal(err)
		}
		defer img.Close()
		if data, err := img.SBOM(t.Context(), ""); data != nil || err != nil {
			t.Errorf("SBOM of an image without one = %q, %v", data, err)
		}
		for _, artifact := range []string{"application/other", "application/spdx+json"} {
			if err := server.Attach(img.ManifestDigest, artifact, []byte(artifact+"!"), byTag); err != nil {
				t.Fatal(err)
			}
			want := ""
			if artifact != "application/other" {
				want = artifact + "!"
			}
			if data, err := img.SBOM(t.Context(), ""); string(data) != want || err != nil {
				t.Errorf("SBOM beside a %s, by tag %v = %q, %v; want %q", artifact, byTag, data, err, want)
			}
		}
		if !byTag {
			none := "sha256:" + strings.Repeat("1", 64)
			server.Misattach(img.ManifestDigest, none)
			if data, err := img.SBOM(t.Context(), none); data != nil || err != nil {
				t.Errorf("the SBOM of another image = %q, %v; want none", data, err)
			}
		}
		server.Damage("/blobs/")
		if data, err := img.SBOM(t.Context(), img.ManifestDigest); err == nil || !strings.Contains(err.Error(), "wrong digest") {
			t.Errorf("a damaged SBOM = %q, %v; want an error", data, err)
		}
		server.Damage("")
		server.Hide("/referrers/")
		server.Hide("manifests/sha256")
		if data, err := img.SBOM(t.Context(), ""); data != nil || byTag && err != nil {
			t.Errorf("an SBOM that is gone = %q, %v", data, err)
		}
		if _, err := img.SBOM(t.Context(), "sha256:x"); err == nil {
			t.Error("an invalid digest was asked for")
		}
	}
}

// TestLargeSBOM has one that is larger than anybody reads.
func TestLargeSBOM(t *testing.T) {
	layout := t.TempDir()
	if err := ocitest.WriteLayout(layout, "1", ocitest.Image{Layers: [][]byte{make([]byte, 1024)}}); err != nil {
		t.Fatal(err)
	}
	server := ocitest.NewRegistry()
	defer server.Close()
	if err := server.Push(layout, "1"); err != nil {
		t.Fatal(err)
	}
	img := mustOpen(t, server.Name()+":1", options(t))
	if err := server.Attach(img.ManifestDigest, "application/spdx+json", make([]byte, limits.SBOM.Value+1), false); err != nil {
		t.Fatal(err)
	}
	_, err := img.SBOM(t.Context(), "")
	if exceeded, ok := errors.AsType[*limits.Error](err); !ok || exceeded.Limit != limits.SBOM {
		t.Errorf("SBOM: %v; want %v", err, limits.SBOM.Exceeded())
	}
}
