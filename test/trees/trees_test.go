// Package trees tests images of real systems: trees of Debian, with all that is
// in them.
package trees

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/repo"
	"github.com/sysupdate-image/sysupdate-image/internal/image/oci"
	"github.com/sysupdate-image/sysupdate-image/test/disks"
)

// need skips a test where no Debian is wanted or can be unpacked.
func need(t testing.TB) {
	t.Helper()
	if os.Getenv("SYSUPDATE_VM_TESTS") == "" {
		t.Skip("a Debian is unpacked only with SYSUPDATE_VM_TESTS=1, as in make machines")
	}
	if os.Getuid() != 0 {
		t.Skip("only root can unpack a Debian")
	}
}

// layout returns the OCI layout of an image of test/images, which has a tag with
// the image's name.
func layout(t testing.TB, name string) string {
	t.Helper()
	need(t)
	dir, err := disks.Image(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// unpacked returns a directory with the files of an image, unpacked by umoci.
func unpacked(t testing.TB, layout, name string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "root")
	if err := disks.Unpack(t.Context(), layout, name, dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// openImage opens an image of a layout.
func openImage(ctx context.Context, t testing.TB, layout, name string) *oci.Image {
	t.Helper()
	ref, err := oci.ParseReference("oci:" + layout + ":" + name)
	if err != nil {
		t.Fatal(err)
	}
	img, err := oci.Open(ctx, ref, oci.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { img.Close() })
	return img
}

// newRepository returns an empty repository that does without fs-verity.
func newRepository(t testing.TB, opts repo.Options) *repo.Repository {
	t.Helper()
	opts.Insecure = true
	repo, err := repo.Init(filepath.Join(t.TempDir(), "composefs"), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { repo.Close() })
	return repo
}

// run runs a program that must not fail, and returns what it prints.
func run(t testing.TB, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, out, &stderr)
	}
	return string(out)
}
