package source

import (
	"archive/tar"
	"errors"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/canonical"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/repo"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
	"github.com/sysupdate-image/sysupdate-image/internal/image/layer"
	"github.com/sysupdate-image/sysupdate-image/internal/image/oci"
	"github.com/sysupdate-image/sysupdate-image/internal/testing/oci"
)

// A file is a regular file, or a hard link to one if link is not "".
type file struct{ name, content, link string }

// archive returns a layer with files, and the directories above them.
func archive(t *testing.T, files ...file) []byte {
	t.Helper()
	var headers []tar.Header
	content := make(map[string]string)
	made := make(map[string]bool)
	for _, f := range files {
		var parents []string
		for dir := path.Dir(f.name); dir != "." && !made[dir]; dir = path.Dir(dir) {
			made[dir] = true
			parents = append(parents, dir)
		}
		for _, dir := range slices.Backward(parents) {
			headers = append(headers, tar.Header{Name: dir, Typeflag: tar.TypeDir, Mode: 0o755})
		}
		h := tar.Header{Name: f.name, Typeflag: tar.TypeReg, Mode: 0o644}
		if f.link != "" {
			h.Typeflag, h.Linkname = tar.TypeLink, f.link
		}
		headers = append(headers, h)
		content[f.name] = f.content
	}
	data, err := ocitest.Tar(headers, content)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func openLayers(t *testing.T, opts Options, layers ...[]byte) *Image {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "image")
	if err := ocitest.WriteLayout(dir, "1", ocitest.Image{Layers: layers, Compression: "none"}); err != nil {
		t.Fatal(err)
	}
	opts.Source = oci.Options{Architecture: "amd64", Root: t.TempDir(), TempDir: t.TempDir()}
	img, err := Open(t.Context(), "oci:"+dir+":1", opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { img.Close() })
	return img
}

const objects = "sysroot/ostree/repo/objects/aa/"

var (
	comment  = "#" + strings.Repeat(" no more than 64 bytes would be in the image itself", 2) + "\n"
	config   = comment + "SELINUXTYPE=test\n"
	contexts = comment + "/usr(/.*)? system_u:object_r:usr_t:s0\n"
	release  = comment + "NAME=Example\n"
)

const contextsPath = "etc/selinux/test/contexts/files/file_contexts"

// TestHardLinks: what describes a system is found even if its names are hard links,
// as ostree has them.
func TestHardLinks(t *testing.T) {
	system := []file{
		{"boot/kernel", "", ""}, {"usr/bin/program", "program", ""},
		{objects + "1.file", config, ""}, {objects + "2.file", contexts, ""}, {objects + "3.file", release, ""},
	}
	links := []file{
		{"etc/selinux/config", "", objects + "1.file"}, {contextsPath, "", objects + "2.file"}, {"usr/lib/os-release", "", objects + "3.file"},
	}
	tests := []struct {
		name   string
		layers [][]byte
	}{
		{"of one layer", [][]byte{archive(t, append(slices.Clone(system), links...)...)}},
		{"of a lower layer", [][]byte{archive(t, system...), archive(t, file{"usr/x", comment, ""}), archive(t, links...)}},
		{"over files", [][]byte{archive(t, append(slices.Clone(system), file{"usr/lib/os-release", comment, ""})...), archive(t, links...)}},
		{"to what is gone", [][]byte{archive(t, append(slices.Clone(system), links...)...), archive(t, file{objects + ".wh..wh..opq", "", ""})}},
	}
	for _, tt := range tests {
		img := openLayers(t, Options{Algorithm: digest.SHA512}, tt.layers...)
		for name, want := range map[string]string{"etc/selinux/config": config, contextsPath: contexts, "usr/lib/os-release": release} {
			if got, err := fs.ReadFile(img.FS(), name); err != nil || string(got) != want {
				t.Errorf("%s: %s is %q, %v; want %q", tt.name, name, got, err, want)
			}
		}
		root, err := img.Canonical(t.Context(), canonical.Form{Boot: true})
		if err != nil {
			t.Errorf("%s: Canonical: %v", tt.name, err)
			continue
		}
		if label, _ := root.Lookup("usr/bin/program").Xattr("security.selinux"); !strings.HasPrefix(label, "system_u:object_r:usr_t:s0") {
			t.Errorf("%s: label is %q; want that of the policy", tt.name, label)
		}
	}
}

// TestStoredBelow: a hard link leads to a file of a layer that is in the repository.
func TestStoredBelow(t *testing.T) {
	repo, err := repo.Init(filepath.Join(t.TempDir(), "repo"), repo.Options{Insecure: true})
	if err != nil {
		t.Fatal(err)
	}
	defer repo.Close()
	layers := [][]byte{archive(t, file{objects + "1.file", release, ""}), archive(t, file{"usr/lib/os-release", "", objects + "1.file"})}
	for _, stored := range []bool{false, true} {
		img := openLayers(t, Options{Repository: repo}, layers...)
		if stored != repo.HasStream(layer.StreamName(img.OCI.Layers[0].DiffID)) {
			t.Fatal("the layer is not where it should be")
		}
		if got, err := fs.ReadFile(img.FS(), "usr/lib/os-release"); err != nil || string(got) != release {
			t.Errorf("os-release, stored %v: %q, %v; want %q", stored, got, err, release)
		}
		tar, err := img.OCI.OpenLayer(t.Context(), img.OCI.Layers[0], nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := layer.Import(t.Context(), tar, repo, img.OCI.Layers[0].DiffID); err != nil {
			t.Fatal(err)
		}
		tar.Close()
	}
}

// TestReserve: a large list of packages does not push out what a system is described
// by, wherever it comes, and is itself there if it has its room.
func TestReserve(t *testing.T) {
	large, small := strings.Repeat("x", maxKept-10), strings.Repeat("y", 100)
	img := openLayers(t, Options{Algorithm: digest.SHA256},
		archive(t, file{"usr/share/rpm/rpmdb.sqlite", large, ""}, file{"var/lib/dpkg/status", small, ""}, file{"etc/selinux/config", config, ""}),
		archive(t, file{"usr/share/rpm/rpmdb.sqlite", small, ""}, file{"usr/lib/sysimage/rpm/rpmdb.sqlite", large, ""}))
	for name, want := range map[string]string{"etc/selinux/config": config, "var/lib/dpkg/status": small, "usr/share/rpm/rpmdb.sqlite": small} {
		if got, err := fs.ReadFile(img.FS(), name); err != nil || string(got) != want {
			t.Errorf("%s has %d bytes, %v; want %d", name, len(got), err, len(want))
		}
	}
	if _, err := fs.ReadFile(img.FS(), "usr/lib/sysimage/rpm/rpmdb.sqlite"); !errors.Is(err, ErrNoContent) {
		t.Errorf("the second large file: %v; want %v", err, ErrNoContent)
	}
}
