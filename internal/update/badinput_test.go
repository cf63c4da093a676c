package update_test

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/repo"
	"github.com/sysupdate-image/sysupdate-image/internal/machine"
	ocitest "github.com/sysupdate-image/sysupdate-image/internal/testing/oci"
	"github.com/sysupdate-image/sysupdate-image/internal/update"
)

// quiet is a Reporter that reports nothing.
type quiet struct{}

func (quiet) Step(string)         {}
func (quiet) Fetching(int, int64) {}
func (quiet) Fetched(int64)       {}
func (quiet) FetchedLayer(int64)  {}
func (quiet) FetchDone()          {}

// system returns the headers and contents of a small image that could boot.
func system() ([]tar.Header, map[string]string) {
	var headers []tar.Header
	for _, dir := range []string{
		"boot", "dev", "etc", "proc", "run", "sys", "sysroot", "usr", "usr/lib", "usr/lib/modules", "usr/lib/modules/6.12", "var",
	} {
		headers = append(headers, tar.Header{Name: dir + "/", Typeflag: tar.TypeDir, Mode: 0o755})
	}
	content := map[string]string{
		"etc/hostname":                       "example\n",
		"usr/lib/modules/6.12/initramfs.img": strings.Repeat("initramfs ", 100),
		"usr/lib/modules/6.12/vmlinuz":       strings.Repeat("kernel ", 100),
		"usr/lib/os-release":                 "PRETTY_NAME=\"Example OS\"\nIMAGE_VERSION=1\n",
	}
	for _, name := range []string{
		"etc/hostname", "usr/lib/modules/6.12/initramfs.img", "usr/lib/modules/6.12/vmlinuz", "usr/lib/os-release",
	} {
		headers = append(headers, tar.Header{Name: name, Mode: 0o644})
	}
	return headers, content
}

// archive returns the tar archive of a system without the names that begin with
// drop, if it is not "", and with more entries.
func archive(t *testing.T, drop string, more ...tar.Header) []byte {
	t.Helper()
	all, content := system()
	var headers []tar.Header
	for _, h := range all {
		if drop == "" || !strings.HasPrefix(h.Name, drop) {
			headers = append(headers, h)
		}
	}
	for _, h := range more {
		if h.Typeflag == tar.TypeReg {
			content[h.Name] = "more\n"
		}
		headers = append(headers, h)
	}
	data, err := ocitest.Tar(headers, content)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// apply applies a reference to the machine in dir.
func apply(ctx context.Context, dir, reference string) (update.Result, error) {
	m, err := update.Open(machine.Place{Dir: dir}, func(error) {})
	if err != nil {
		return update.Result{}, err
	}
	defer m.Close()
	return m.Apply(ctx, update.Options{Reference: reference}, quiet{})
}

// listing returns what is below dir, a line each.
func listing(t *testing.T, dir string) string {
	t.Helper()
	var out strings.Builder
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		size := info.Size()
		if d.IsDir() {
			size = 0 // directories keep their size when they shrink
		}
		name, _ := filepath.Rel(dir, path)
		if d.IsDir() && filepath.Dir(name) == "composefs/objects" {
			return nil // they stay when the last object in them has gone
		}
		fmt.Fprintf(&out, "%s %v %d\n", name, info.Mode(), size)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// sparse returns an archive whose last header claims ten gigabytes.
func sparse(t *testing.T) []byte {
	var out bytes.Buffer
	out.Write(bytes.TrimRight(archive(t, ""), "\x00"))
	out.Write(make([]byte, (512-out.Len()%512)%512))
	w := tar.NewWriter(&out)
	if err := w.WriteHeader(&tar.Header{Name: "usr/huge", Mode: 0o644, Size: 10 << 30}); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func truncate(blobs [][]byte)   { blobs[0] = blobs[0][:len(blobs[0])/2] }
func flipAByte(blobs [][]byte)  { blobs[0] = bytes.Clone(blobs[0]); blobs[0][len(blobs[0])/2] ^= 1 }
func flipConfig(blobs [][]byte) { blobs[1] = append(bytes.Clone(blobs[1]), ' ') }

// badImages are images that are refused, and what the error says.
var badImages = []struct {
	name string
	want string
	make func(t *testing.T) ocitest.Image
}{
	{"truncated layer", "layer", func(t *testing.T) ocitest.Image {
		return ocitest.Image{Layers: [][]byte{archive(t, "")}, Edit: truncate}
	}},
	{"wrong digest", "layer", func(t *testing.T) ocitest.Image {
		return ocitest.Image{Layers: [][]byte{archive(t, "")}, Compression: "none", Edit: flipAByte}
	}},
	{"wrong configuration", "configuration", func(t *testing.T) ocitest.Image {
		return ocitest.Image{Layers: [][]byte{archive(t, "")}, Edit: flipConfig}
	}},
	{"wrong diff_id", "diff_id", func(t *testing.T) ocitest.Image {
		return ocitest.Image{Layers: [][]byte{archive(t, "")}, DiffIDs: []string{"sha256:" + strings.Repeat("0", 64)}}
	}},
	{"no kernel", "no kernel", func(t *testing.T) ocitest.Image {
		return ocitest.Image{Layers: [][]byte{archive(t, "usr/lib/modules/6.12")}}
	}},
	{"no usr", "no /usr", func(t *testing.T) ocitest.Image {
		return ocitest.Image{Layers: [][]byte{archive(t, "usr")}}
	}},
	{"two kernels", "2 kernels", func(t *testing.T) ocitest.Image {
		return ocitest.Image{Layers: [][]byte{archive(t, "",
			tar.Header{Name: "usr/lib/modules/6.13/", Typeflag: tar.TypeDir, Mode: 0o755},
			tar.Header{Name: "usr/lib/modules/6.13/vmlinuz", Typeflag: tar.TypeReg, Mode: 0o644})}}
	}},
	{"other architecture", "s390x", func(t *testing.T) ocitest.Image {
		return ocitest.Image{Layers: [][]byte{archive(t, "")}, Architecture: "s390x"}
	}},
	{"symlink escape", "escape", func(t *testing.T) ocitest.Image {
		return ocitest.Image{Layers: [][]byte{archive(t, "",
			tar.Header{Name: "escape", Typeflag: tar.TypeSymlink, Linkname: "/tmp"},
			tar.Header{Name: "escape/file", Typeflag: tar.TypeReg, Mode: 0o644})}}
	}},
	{"hardlink escape", "shadow", func(t *testing.T) ocitest.Image {
		return ocitest.Image{Layers: [][]byte{archive(t, "",
			tar.Header{Name: "usr/shadow", Typeflag: tar.TypeLink, Linkname: "../../../../etc/shadow"})}}
	}},
	{"dots", "..", func(t *testing.T) ocitest.Image {
		return ocitest.Image{Layers: [][]byte{archive(t, "",
			tar.Header{Name: "usr/../../file", Typeflag: tar.TypeReg, Mode: 0o644})}}
	}},
	{"long name", "300", func(t *testing.T) ocitest.Image {
		return ocitest.Image{Layers: [][]byte{archive(t, "",
			tar.Header{Name: "usr/" + strings.Repeat("x", 300), Typeflag: tar.TypeReg, Mode: 0o644})}}
	}},
	{"ten gigabytes claimed", "usr/huge", func(t *testing.T) ocitest.Image {
		return ocitest.Image{Layers: [][]byte{sparse(t)}}
	}},
}

// TestBadImages shows that an image that is refused is refused with a reason,
// and leaves nothing behind once a good one has been applied.
func TestBadImages(t *testing.T) {
	layouts := t.TempDir()
	good := "oci:" + filepath.Join(layouts, "good") + ":1"
	if err := ocitest.WriteLayout(filepath.Join(layouts, "good"), "1", ocitest.Image{Layers: [][]byte{archive(t, "")}}); err != nil {
		t.Fatal(err)
	}
	clean := t.TempDir()
	if _, err := apply(t.Context(), clean, good); err != nil {
		t.Fatal(err)
	}
	want := listing(t, clean)
	for _, tt := range badImages {
		t.Run(tt.name, func(t *testing.T) {
			layout := filepath.Join(layouts, strings.ReplaceAll(tt.name, " ", "-"))
			if err := ocitest.WriteLayout(layout, "1", tt.make(t)); err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			_, err := apply(t.Context(), dir, "oci:"+layout+":1")
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v; want one with %q", err, tt.want)
			}
			if _, err := apply(t.Context(), dir, good); err != nil {
				t.Fatalf("a good image after that: %v", err)
			}
			if got := listing(t, dir); got != want {
				t.Errorf("after a good image there is:\n%swant:\n%s", got, want)
			}
		})
	}
}

// TestHarmlessOddities shows that what looks hostile and is not stays an entry of
// the image: nothing is made outside, and no device on disk.
func TestHarmlessOddities(t *testing.T) {
	layout := t.TempDir()
	img := ocitest.Image{Layers: [][]byte{archive(t, "",
		tar.Header{Name: "/usr/absolute", Typeflag: tar.TypeReg, Mode: 0o644},
		tar.Header{Name: "usr/mem", Typeflag: tar.TypeChar, Devmajor: 1, Devminor: 1, Mode: 0o600})}}
	if err := ocitest.WriteLayout(layout, "1", img); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if _, err := apply(t.Context(), dir, "oci:"+layout+":1"); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(listing(t, dir)) {
		if strings.Contains(line, "D") && strings.Contains(line, "c-") || strings.Contains(line, "absolute") {
			t.Errorf("apply made %s", line)
		}
	}
	if _, err := os.Lstat("/usr/absolute"); err == nil {
		t.Error("apply made /usr/absolute")
	}
}

func TestReferencesThatCannotBe(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close() // nobody listens there now
	layout := t.TempDir()
	if err := ocitest.WriteLayout(layout, "1", ocitest.Image{Layers: [][]byte{archive(t, "")}}); err != nil {
		t.Fatal(err)
	}
	for ref, want := range map[string]string{
		"oci:" + layout + ":other": "no such image",
		"oci:/does/not/exist:1":    "/does/not/exist",
		address + "/os:1":          "registry",
		"containers-storage:x":     "cannot update from",
		"":                         "follows no image",
		"NOT A REFERENCE":          "reference",
	} {
		dir := t.TempDir()
		if _, err := apply(t.Context(), dir, ref); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("apply %q: error %v; want one with %q", ref, err, want)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("apply %q left %v, %v; want nothing", ref, left, err)
		}
	}
}

func TestTwoAtOnce(t *testing.T) {
	dir, layout := t.TempDir(), t.TempDir()
	if err := ocitest.WriteLayout(layout, "1", ocitest.Image{Layers: [][]byte{archive(t, "")}}); err != nil {
		t.Fatal(err)
	}
	if _, err := apply(t.Context(), dir, "oci:"+layout+":1"); err != nil {
		t.Fatal(err)
	}
	m, err := update.Open(machine.Place{Dir: dir}, func(error) {})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := apply(t.Context(), dir, "oci:"+layout+":1"); err == nil || !strings.Contains(err.Error(), repo.ErrBusy.Error()) {
		t.Errorf("a second apply at the same time: error %v; want %v", err, repo.ErrBusy)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
}
