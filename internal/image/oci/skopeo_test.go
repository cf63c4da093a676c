package oci

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestSkopeo reads what skopeo(1) writes in each format.
func TestSkopeo(t *testing.T) {
	skopeo, err := exec.LookPath("skopeo")
	if err != nil {
		t.Skip("skopeo(1) is not installed")
	}
	im := newImage(t, "amd64", archives(t)[:1], nil)
	compressed := "oci:" + writeLayout(t, im, "v1") + ":v1"
	plain := "docker-archive:" + writeDockerArchive(t, im, "example.org/os:v1")
	registry := newRegistry(t).host()
	dir := t.TempDir()
	tests := []struct {
		name, source, ref string
		flags             []string
	}{
		{"oci", compressed, "oci:" + filepath.Join(dir, "oci") + ":v1", nil},
		{"oci-archive", compressed, "oci-archive:" + filepath.Join(dir, "oci.tar") + ":v1", nil},
		{"docker-archive", compressed, "docker-archive:" + filepath.Join(dir, "docker.tar") + ":example.org/os:v1", nil},
		{"dir", compressed, "dir:" + filepath.Join(dir, "dir"), nil},
		{"dir, Docker's manifest", compressed, "dir:" + filepath.Join(dir, "v2s2"), []string{"--format", "v2s2"}},
		{"registry", compressed, "docker://" + registry + "/os:v1", []string{"--dest-tls-verify=false"}},
		{"zstd", plain, "oci:" + filepath.Join(dir, "zstd") + ":v1",
			[]string{"--dest-compress-format", "zstd"}},
		{"zstd:chunked", plain, "docker://" + newRegistry(t).host() + "/os:v1",
			[]string{"--dest-tls-verify=false", "--format", "oci", "--dest-compress-format", "zstd:chunked"}},
	}
	for _, tt := range tests {
		args := append([]string{"copy", "--quiet", "--insecure-policy"}, tt.flags...)
		cmd := exec.CommandContext(t.Context(), skopeo, append(args, tt.source, tt.ref)...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", tt.name, err, out)
			continue
		}
		got := mustOpen(t, tt.ref, options(t))
		if len(got.Layers) != len(im.archives) {
			t.Errorf("%s: %d layers; want %d", tt.name, len(got.Layers), len(im.archives))
			continue
		}
		if isZstd := strings.Contains(got.Layers[0].MediaType, "zstd"); isZstd != strings.Contains(tt.name, "zstd") {
			t.Errorf("%s: layer of type %s", tt.name, got.Layers[0].MediaType)
		}
		for n, want := range im.archives {
			data, err := readLayer(t, got, n)
			if err != nil || !bytes.Equal(data, want) {
				t.Errorf("%s: layer %d: %d bytes, %v; want %d", tt.name, n, len(data), err, len(want))
			}
		}
	}
}
