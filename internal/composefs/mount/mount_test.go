package mount

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/erofs"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/repo"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/scan"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
	"github.com/sysupdate-image/sysupdate-image/internal/testing/ns"
	"github.com/sysupdate-image/sysupdate-image/internal/testing/sample"
)

// scanInto puts an image of a directory with its contents into a new repository.
func scanInto(t *testing.T, source string, version int) (tree *tree.Node, image, objects *os.File) {
	t.Helper()
	repo, err := repo.Init(filepath.Join(t.TempDir(), "repo"), repo.Options{Insecure: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { repo.Close() })
	dir, err := os.Open(source)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	scanned, err := scan.Scan(t.Context(), dir, scan.Options{Repository: repo})
	if err != nil {
		t.Fatal(err)
	}
	scanned.Root.CountLinks()
	d, err := repo.PutImage(func(w io.Writer) error {
		return erofs.Write(t.Context(), w, scanned.Root, erofs.Options{Version: version})
	})
	if err != nil {
		t.Fatal(err)
	}
	if image, err = repo.OpenImage(d.String()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { image.Close() })
	return scanned.Root, image, repo.ObjectsDir()
}

// TestMount mounts an image in every way that there is, and reads from it.
func TestMount(t *testing.T) {
	ns.Run(t, func(t *testing.T) {
		ns.NeedRealRoot(t)
		source := t.TempDir()
		large := strings.Repeat("large ", 1000)
		for name, content := range map[string]string{"small": "small", "large": large} {
			if err := os.WriteFile(filepath.Join(source, name), []byte(content), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		_, image, objects := scanInto(t, source, erofs.V1)
		for _, w := range []way{{}, {layersAttached: true}, {loop: true, layersAttached: true}} {
			mount, err := mountFrom(image, objects, Options{Source: "test"}, []way{w})
			if w.loop && errors.Is(err, os.ErrNotExist) {
				t.Logf("no loop devices here: %v", err)
				continue
			}
			if err != nil {
				t.Errorf("%+v: %v", w, err)
				continue
			}
			for name, want := range map[string]string{"small": "small", "large": large} {
				f, err := sys.Openat(mount, name, os.O_RDONLY, 0)
				if err != nil {
					t.Errorf("%+v: %v", w, err)
					continue
				}
				if got, err := io.ReadAll(f); err != nil || string(got) != want {
					t.Errorf("%+v: %s is %.20q, %v; want %.20q", w, name, got, err, want)
				}
				f.Close()
			}
			mount.Close()
		}
		dir := ns.Dir(t)
		if err := Mount(image, objects, dir, Options{Source: "composefs:test"}); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(filepath.Join(dir, "large")); err != nil || string(got) != large {
			t.Errorf("large is %.20q, %v", got, err)
		}
		if err := os.WriteFile(filepath.Join(dir, "new"), nil, 0o644); err == nil {
			t.Error("the mount is writable")
		}
	})
}

// realTrees are directories with all that a system has.
var realTrees = []string{"/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/etc"}

// TestRealTree mounts images of real directories, and scans the mounts: they
// are, file for file, what they were made of.
func TestRealTree(t *testing.T) {
	ns.Run(t, func(t *testing.T) {
		ns.NeedRealRoot(t)
		seen := 0
		for _, source := range realTrees {
			if _, err := os.Stat(source); err != nil || seen == sample.Of(len(realTrees)) {
				continue
			}
			seen++
			want, image, objects := scanInto(t, source, erofs.V1)
			dir := ns.Dir(t)
			if err := Mount(image, objects, dir, Options{Source: "test"}); err != nil {
				t.Fatal(err)
			}
			compareMount(t, source, dir, want)
		}
		if seen == 0 {
			t.Skip("this system has none of the directories that are looked for")
		}
	})
}

// compareMount scans what is mounted at dir: with digests of all that can be
// read there.
func compareMount(t *testing.T, source, dir string, want *tree.Node) {
	t.Helper()
	f, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	got, err := scan.Scan(t.Context(), f, scan.Options{Algorithm: digest.SHA512})
	if err != nil {
		t.Fatal(err)
	}
	// An overlay says 1 for each directory.
	got.Root.CountLinks()
	want.CountLinks()
	var a, b strings.Builder
	if err := tree.WriteDump(&a, got.Root); err != nil {
		t.Fatal(err)
	}
	if err := tree.WriteDump(&b, want); err != nil {
		t.Fatal(err)
	}
	if a.String() == b.String() {
		t.Logf("%s: %d names are the same", source, strings.Count(a.String(), "\n"))
		return
	}
	wantLines := strings.Split(b.String(), "\n")
	for i, line := range strings.Split(a.String(), "\n") {
		if i >= len(wantLines) || line != wantLines[i] {
			t.Fatalf("%s: mounted, line %d is\n%s\nwant\n%s", source, i, line, wantLines[min(i, len(wantLines)-1)])
		}
	}
	t.Fatalf("%s: mounted, files are missing", source)
}
