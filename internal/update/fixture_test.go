package update

import (
	"archive/tar"
	"context"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
	ocitest "github.com/sysupdate-image/sysupdate-image/internal/testing/oci"
)

// silent is a Reporter that reports nothing.
type silent struct{}

func (silent) Step(string)         {}
func (silent) Fetching(int, int64) {}
func (silent) Fetched(int64)       {}
func (silent) FetchedLayer(int64)  {}
func (silent) FetchDone()          {}

// writeImage puts a small image into a layout.
func writeImage(t *testing.T, layout, tag, version string) {
	t.Helper()
	img := ocitest.Image{Layers: [][]byte{smallLayer(t, version)}}
	if err := ocitest.WriteLayout(layout, tag, img); err != nil {
		t.Fatal(err)
	}
}

// smallLayer returns the layer of a small image, with /etc as an overlay.
func smallLayer(t *testing.T, version string) []byte {
	t.Helper()
	content := map[string]string{
		"etc/default": version, "usr/lib/modules/6.12/vmlinuz": "kernel " + version, "usr/lib/modules/6.12/initramfs.img": "initramfs",
		"usr/lib/os-release": "PRETTY_NAME=OS\nIMAGE_VERSION=" + version + "\n", "usr/lib/sysupdate-image/prepare-root": "x",
	}
	var headers []tar.Header
	for _, dir := range []string{"boot", "etc", "sysroot", "var", "usr", "usr/lib", "usr/lib/modules", "usr/lib/modules/6.12", "usr/lib/sysupdate-image"} {
		headers = append(headers, tar.Header{Name: dir + "/", Typeflag: tar.TypeDir, Mode: 0o755})
	}
	for _, name := range slices.Sorted(maps.Keys(content)) {
		headers = append(headers, tar.Header{Name: name, Mode: 0o755})
	}
	layer, err := ocitest.Tar(headers, content)
	if err != nil {
		t.Fatal(err)
	}
	return layer
}

// A bench is a machine to be copied, and images for it.
type bench struct {
	t      *testing.T
	layout string
	dir    string
}

// newBench returns a machine that has the images 1 and 2, both good, of which 2
// boots next, and where 1 has a change to /etc.
func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, layout: t.TempDir(), dir: t.TempDir()}
	for _, tag := range []string{"1", "2", "3"} {
		writeImage(t, b.layout, tag, tag)
	}
	writeImage(t, b.layout, "2-renamed", "2")
	for _, tag := range []string{"1", "2"} {
		m := b.open(b.dir, nil)
		id := b.apply(m, tag, nil).ID
		b.must(m.Close())
		upper := filepath.Join(b.dir, id.EtcUpper())
		b.must(os.MkdirAll(upper, 0o755))
		b.must(os.WriteFile(upper+"/mine", []byte("mine"), 0o644))
		BlessAll(t, b.dir)
	}
	return b
}

func (b *bench) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

// copy returns a new copy of the machine.
func (b *bench) copy() string {
	b.t.Helper()
	dir := b.t.TempDir()
	if out, err := exec.Command("cp", "-a", b.dir+"/.", dir).CombinedOutput(); err != nil {
		b.t.Fatalf("%v\n%s", err, out)
	}
	return dir
}

// open opens a machine, with all its changes outside the repository through wrap.
func (b *bench) open(dir string, wrap func(durable.FS) durable.FS) *Machine {
	b.t.Helper()
	m, err := Open(PlaceOf(b.t, dir), func(err error) { b.t.Log(err) })
	b.must(err)
	if wrap != nil {
		m.Changes = wrap(m.Changes)
		m.Boot.Through(wrap)
	}
	return m
}

func (b *bench) options(tag string) Options { return Options{Reference: "oci:" + b.layout + ":" + tag} }

// apply applies an image; with an error it returns the zero Result.
func (b *bench) apply(m *Machine, tag string, failed *error) Result {
	b.t.Helper()
	result, err := m.Apply(context.Background(), b.options(tag), silent{})
	if failed != nil {
		*failed = err
	} else {
		b.must(err)
	}
	return result
}

// BlessAll makes good what is on trial.
func BlessAll(t *testing.T, dir string) {
	t.Helper()
	files, err := filepath.Glob(dir + "/boot/loader/entries/*+*.conf")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		base, _, _ := strings.Cut(file, "+")
		if err := os.Rename(file, base+".conf"); err != nil {
			t.Fatal(err)
		}
	}
}

// titles returns the titles of the entries, in the loader's order.
func (b *bench) titles(dir string) string {
	b.t.Helper()
	p, err := boot.OpenDir(dir + "/boot")
	b.must(err)
	defer p.Close()
	files, err := p.Entries()
	b.must(err)
	var all []string
	for _, f := range files {
		if f.Bootable() {
			all = append(all, f.Entry.Title)
		}
	}
	return strings.Join(all, ", ")
}

// files returns the names of what there is outside the repository.
func files(t *testing.T, dir string) string {
	t.Helper()
	var out strings.Builder
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		name, _ := filepath.Rel(dir, path)
		if name == "composefs" {
			return fs.SkipDir
		}
		out.WriteString(name + "\n")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// without returns the lines of a that b does not have.
func without(a, b string) []string {
	return slices.DeleteFunc(strings.Fields(a), func(line string) bool { return slices.Contains(strings.Fields(b), line) })
}

func (b *bench) applyError(m *Machine, tag string) (err error) {
	b.apply(m, tag, &err)
	return err
}

// idOf returns the deployment of an image.
func (b *bench) idOf(version string) string {
	b.t.Helper()
	m := b.open(b.dir, nil)
	defer m.Close()
	return b.idIn(m, version)
}

func (b *bench) idIn(m *Machine, version string) string {
	b.t.Helper()
	s, err := m.readState()
	b.must(err)
	for _, f := range s.Files {
		if f.Entry.Title == "OS ("+version+")" {
			return string(f.Target.ID)
		}
	}
	b.t.Fatalf("no deployment of %s", version)
	return ""
}
