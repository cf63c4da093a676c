package repair_test

import (
	"archive/tar"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/repo"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/image/oci"
	machines "github.com/sysupdate-image/sysupdate-image/internal/machine"
	"github.com/sysupdate-image/sysupdate-image/internal/repair"
	ocitest "github.com/sysupdate-image/sysupdate-image/internal/testing/oci"
	"github.com/sysupdate-image/sysupdate-image/internal/update"
)

// silent is a Reporter that reports nothing.
type silent struct{}

func (silent) Step(string)         {}
func (silent) Fetching(int, int64) {}
func (silent) Fetched(int64)       {}
func (silent) FetchedLayer(int64)  {}
func (silent) FetchDone()          {}

// A machine has been given an image of two layers by a registry.
type machine struct {
	t        *testing.T
	dir      string
	registry *ocitest.Registry
	origin   repair.Origin
}

// file is in the upper layer, and large enough to be an object.
var file = strings.Repeat("what the file holds ", 100)

func newMachine(t *testing.T) *machine {
	t.Helper()
	m := &machine{t: t, dir: t.TempDir(), registry: ocitest.NewRegistry()}
	t.Cleanup(m.registry.Close)
	m.push("1", layerOf(t, system, nil), layerOf(t, []string{"usr/file"}, map[string]string{"usr/file": file}))
	u, err := update.Open(machines.Place{Dir: m.dir}, func(error) {})
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	result, err := u.Apply(t.Context(), update.Options{Reference: m.registry.Name() + ":1", Source: insecure}, silent{})
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(m.dir, result.ID.OriginFile()))
	if err != nil {
		t.Fatal(err)
	}
	o, err := deployment.ParseOrigin(data)
	if err != nil {
		t.Fatal(err)
	}
	m.origin = repair.Origin{Deployment: string(result.ID), Reference: o.Reference, ManifestDigest: o.ManifestDigest}
	return m
}

// push gives the registry an image of these layers under a tag.
func (m *machine) push(tag string, layers ...[]byte) {
	m.t.Helper()
	layout := m.t.TempDir()
	if err := ocitest.WriteLayout(layout, tag, ocitest.Image{Layers: layers}); err != nil {
		m.t.Fatal(err)
	}
	if err := m.registry.Push(layout, tag); err != nil {
		m.t.Fatal(err)
	}
}

// system are the names of an image that boots; directories end in a slash.
var system = []string{
	"boot/", "etc/", "sysroot/", "usr/", "usr/lib/", "usr/lib/modules/", "usr/lib/modules/6.12/", "var/",
	"usr/lib/modules/6.12/vmlinuz", "usr/lib/modules/6.12/initramfs.img", "usr/lib/os-release",
}

func layerOf(t *testing.T, names []string, content map[string]string) []byte {
	t.Helper()
	var headers []tar.Header
	all := make(map[string]string)
	for _, name := range names {
		h := tar.Header{Name: name, Mode: 0o755, Typeflag: tar.TypeDir}
		if !strings.HasSuffix(name, "/") {
			h.Typeflag = tar.TypeReg
			all[name] = strings.Repeat(name+" ", 100)
		}
		headers = append(headers, h)
	}
	for name, text := range content {
		all[name] = text
	}
	data, err := ocitest.Tar(headers, all)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// path returns the file of the only object, or link to one, that fits.
func (m *machine) path(fits func(name, content string) bool) string {
	m.t.Helper()
	var found []string
	err := filepath.WalkDir(filepath.Join(m.dir, "composefs"), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.Contains(path, "/refs/") {
			return err
		}
		data, err := os.ReadFile(path)
		if fits(strings.TrimPrefix(path, m.dir), string(data)) {
			if path, err = filepath.EvalSymlinks(path); err == nil {
				found = append(found, path)
			}
		}
		return err
	})
	if err != nil || len(found) != 1 {
		m.t.Fatalf("found %q, %v; want one", found, err)
	}
	return found[0]
}

func (m *machine) content() string {
	return m.path(func(name, content string) bool { return strings.Contains(name, "/objects/") && content == file })
}

func (m *machine) stream(kind, digest string) string {
	return m.path(func(name, _ string) bool {
		return strings.Contains(name, "/streams/oci-"+kind+"-") && strings.Contains(name, digest)
	})
}

func (m *machine) image() string {
	return m.path(func(name, _ string) bool { return strings.Contains(name, "/images/") })
}

// fsck runs the check.
// insecure reads from the registry of the tests, which has no TLS.
var insecure = oci.Options{InsecureTLS: true}

func (m *machine) fsck(o repair.Options) repair.Report {
	m.t.Helper()
	repo, err := repo.Open(filepath.Join(m.dir, "composefs"))
	if err != nil {
		m.t.Fatal(err)
	}
	defer repo.Close()
	unlock, err := repo.Lock(true)
	if err != nil {
		m.t.Fatal(err)
	}
	defer unlock()
	o.Source = insecure
	o.Deployments, o.Origins = []string{m.origin.Deployment}, []repair.Origin{m.origin}
	report, err := repair.Run(m.t.Context(), repo, o)
	if err != nil {
		m.t.Fatal(err)
	}
	return report
}
