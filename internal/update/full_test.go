package update_test

import (
	"archive/tar"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/testing/ns"
	ocitest "github.com/sysupdate-image/sysupdate-image/internal/testing/oci"
)

// TestNoRoom shows that a full file system is said, and that the same apply
// gets through once there is room.
func TestNoRoom(t *testing.T) {
	for _, full := range []string{"", "boot"} {
		t.Run("full /"+full, func(t *testing.T) {
			ns.Run(t, func(t *testing.T) { testNoRoom(t, full) })
		})
	}
}

func testNoRoom(t *testing.T, full string) {
	layout := t.TempDir()
	img := ocitest.Image{Layers: [][]byte{archive(t, ""), manyFiles(t, "file", 400)}}
	if err := ocitest.WriteLayout(layout, "1", img); err != nil {
		t.Fatal(err)
	}
	ref := "oci:" + layout + ":1"
	dir := ns.Dir(t)
	small := filepath.Join(dir, full)
	if err := os.MkdirAll(small, 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=64m,mode=755", "tmpfs", small).CombinedOutput(); err != nil {
		t.Fatalf("mount: %v\n%s", err, out)
	}
	filler := filepath.Join(small, "filler")
	fill(t, filler)
	_, err := apply(t.Context(), dir, ref)
	if err == nil || !strings.Contains(err.Error(), "no space") && !strings.Contains(err.Error(), "room") {
		t.Errorf("on a full file system: error %v; want one that says so", err)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	if _, err := apply(t.Context(), dir, ref); err != nil {
		t.Errorf("with room again: %v", err)
	}
}

// fill writes to a file until the file system is full.
func fill(t *testing.T, name string) {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for block := make([]byte, 4096); ; {
		if _, err := f.Write(block); err != nil {
			return
		}
	}
}

// TestLittleRoom applies an image with ever more room on the root file system,
// from none until it gets through, so that it runs out of it everywhere. Each
// time that is said, and nothing is left: what is there is what was there.
func TestLittleRoom(t *testing.T) {
	ns.Run(t, func(t *testing.T) {
		layout := t.TempDir()
		first := ocitest.Image{Layers: [][]byte{archive(t, "")}}
		second := ocitest.Image{Layers: [][]byte{archive(t, ""), manyFiles(t, "file", 10), archive(t, "", tar.Header{Name: "usr/new", Typeflag: tar.TypeReg, Mode: 0o644})}}
		for tag, img := range map[string]ocitest.Image{"1": first, "2": second} {
			if err := ocitest.WriteLayout(layout, tag, img); err != nil {
				t.Fatal(err)
			}
		}
		dir := ns.Dir(t)
		if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "mode=755,size=8m"); err != nil {
			t.Fatal(err)
		}
		bootOnce(t, dir, "oci:"+layout+":1")
		before := listing(t, dir)
		filler := filepath.Join(dir, "filler")
		var last string
		for blocks, failures := 0, 0; ; blocks++ {
			fill(t, filler)
			info, err := os.Stat(filler)
			if err == nil {
				err = os.Truncate(filler, max(0, info.Size()-int64(blocks)*4096))
			}
			if err != nil {
				t.Fatal(err)
			}
			_, applyErr := apply(t.Context(), dir, "oci:"+layout+":2")
			if err := os.Remove(filler); err != nil {
				t.Fatal(err)
			}
			if applyErr == nil {
				t.Logf("it gets through with %d blocks; %d times it did not, last: %s", blocks, failures, last)
				if failures < 10 {
					t.Errorf("it failed %d times only", failures)
				}
				return
			}
			failures++
			last = applyErr.Error()
			if !strings.Contains(last, "no space") && !strings.Contains(last, "no room") {
				t.Errorf("with %d blocks: error %v; want one that says that there is no room", blocks, applyErr)
			}
			if got := listing(t, dir); got != before {
				t.Fatalf("with %d blocks there is\n%swant\n%s%v", blocks, got, before, applyErr)
			}
		}
	})
}
