package update_test

import (
	"archive/tar"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/nstest"
	"github.com/sysupdate-image/sysupdate-image/internal/ocitest"
)

// applyEnv makes TestApplyChild apply an image: "DIRECTORY REFERENCE".
const applyEnv = "SYSUPDATE_IMAGE_TEST_APPLY"

// TestApplyChild is the process that TestKilled kills.
func TestApplyChild(t *testing.T) {
	dir, ref, ok := strings.Cut(os.Getenv(applyEnv), " ")
	if !ok {
		return
	}
	if _, err := apply(t.Context(), dir, ref); err != nil {
		t.Fatal(err)
	}
}

func child(dir, ref string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], "-test.run=^TestApplyChild$")
	cmd.Env = append(os.Environ(), applyEnv+"="+dir+" "+ref)
	return cmd
}

// manyFiles returns a layer with files that are objects.
func manyFiles(t *testing.T, n int) []byte {
	t.Helper()
	content := make(map[string]string)
	headers := []tar.Header{{Name: "usr/many/", Typeflag: tar.TypeDir, Mode: 0o755}}
	for i := range n {
		name := fmt.Sprintf("usr/many/%04d", i)
		headers = append(headers, tar.Header{Name: name, Mode: 0o644})
		content[name] = strings.Repeat(fmt.Sprintf("file %d ", i), 1000)
	}
	data, err := ocitest.Tar(headers, content)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestKilled kills an apply at random moments, of a first image and of one that
// follows it. The same apply then gets through and leaves what it leaves when
// nothing has happened.
func TestKilled(t *testing.T) {
	layout := t.TempDir()
	first := ocitest.Image{Layers: [][]byte{archive(t, ""), manyFiles(t, 400)}}
	second := first
	second.Layers = append(second.Layers, archive(t, "", tar.Header{Name: "usr/new", Typeflag: tar.TypeReg, Mode: 0o644}))
	for tag, img := range map[string]ocitest.Image{"1": first, "2": second} {
		if err := ocitest.WriteLayout(layout, tag, img); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("first", func(t *testing.T) { killAndCompare(t, t.TempDir(), "oci:"+layout+":1") })
	t.Run("second", func(t *testing.T) {
		before := t.TempDir()
		bootOnce(t, before, "oci:"+layout+":1")
		killAndCompare(t, before, "oci:"+layout+":2")
	})
}

// copyOf returns a directory with what is in dir.
func copyOf(t *testing.T, dir string) string {
	t.Helper()
	out := t.TempDir()
	if text, err := exec.Command("cp", "-a", dir+"/.", out).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return out
}

// bootOnce applies an image, and leaves a change to /etc as if it had run.
func bootOnce(t *testing.T, dir, ref string) {
	t.Helper()
	result, err := apply(t.Context(), dir, ref)
	if err != nil {
		t.Fatal(err)
	}
	// The image has /etc bound: it holds all of it.
	local := filepath.Join(dir, result.ID.EtcDir(), "local.conf")
	if err := os.WriteFile(local, []byte("local\n"), 0o644); err != nil {
		t.Fatal(err)
	}
}

// killAndCompare kills an apply to a machine like that in before.
func killAndCompare(t *testing.T, before, ref string) {
	clean := copyOf(t, before)
	begin := time.Now()
	if out, err := child(clean, ref).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	took := time.Since(begin)
	want := listing(t, clean)

	t.Logf("an apply takes %v", took)
	random := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		after := time.Duration(random.Int64N(int64(took)))
		dir := copyOf(t, before)
		cmd := child(dir, ref)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(after)
		_ = cmd.Process.Kill() // it may have got through
		_ = cmd.Wait()
		if _, err := apply(t.Context(), dir, ref); err != nil {
			t.Fatalf("killed after %v: apply again: %v", after, err)
		}
		if got := listing(t, dir); got != want {
			t.Fatalf("killed after %v: there is\n%swant\n%s", after, got, want)
		}
	}
}

// TestNoRoom shows that a full file system is said, and that the same apply
// gets through once there is room.
func TestNoRoom(t *testing.T) {
	for _, full := range []string{"", "boot"} {
		t.Run("full /"+full, func(t *testing.T) {
			nstest.Run(t, func(t *testing.T) { testNoRoom(t, full) })
		})
	}
}

func testNoRoom(t *testing.T, full string) {
	layout := t.TempDir()
	img := ocitest.Image{Layers: [][]byte{archive(t, ""), manyFiles(t, 400)}}
	if err := ocitest.WriteLayout(layout, "1", img); err != nil {
		t.Fatal(err)
	}
	ref := "oci:" + layout + ":1"
	dir := nstest.Dir(t)
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
