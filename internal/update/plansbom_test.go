package update

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/image/oci"
	"github.com/sysupdate-image/sysupdate-image/internal/image/packages"
	ocitest "github.com/sysupdate-image/sysupdate-image/internal/testing/oci"
)

// spdxOf returns an SBOM with versions of the package x.
func spdxOf(version string) []byte {
	return fmt.Appendf(nil, `{"spdxVersion": "SPDX-2.3", "packages": [{"externalRefs": [{"referenceType": "purl", "referenceLocator": "pkg:deb/debian/x@%s"}]}]}`, version)
}

// TestPlanSBOM: before the layers are here, and where they have no list of packages, a plan has
// the packages of the SBOM; an apply of an image with a list does not need it.
func TestPlanSBOM(t *testing.T) {
	b := &bench{t: t, layout: t.TempDir(), dir: t.TempDir()}
	b.must(os.Mkdir(b.dir+"/boot", 0o755))
	server := ocitest.NewRegistry()
	defer server.Close()
	digests := make(map[string]string)
	for _, tag := range []string{"1", "2", "3"} {
		writeImage(t, b.layout, tag, tag)
		b.must(server.Push(b.layout, tag))
		ref, err := oci.ParseReference(server.Name() + ":" + tag)
		b.must(err)
		img, err := oci.Find(t.Context(), ref, oci.Options{InsecureTLS: true})
		b.must(err)
		digests[tag] = img.ManifestDigest
		img.Close()
	}
	options := func(tag string) Options {
		return Options{Reference: server.Name() + ":" + tag, Source: oci.Options{InsecureTLS: true}}
	}
	var warned []string
	m, err := Open(PlaceOf(t, b.dir), func(err error) { warned = append(warned, err.Error()) })
	b.must(err)
	defer m.Close()
	_, err = m.Apply(t.Context(), options("1"), silent{})
	b.must(err)
	plan := func(tag string) *SBOMPlan {
		t.Helper()
		p, err := m.Plan(t.Context(), options(tag), silent{})
		b.must(err)
		return p.SBOM
	}
	if got := plan("2"); got != nil {
		t.Errorf("without an SBOM: %+v", got)
	}
	b.must(server.Attach(digests["2"], "application/spdx+json", spdxOf("2"), true))
	if got := plan("2"); got != nil {
		t.Errorf("without one of the current image, which has no list either: %+v; want none, as all would look new", got)
	}
	b.must(server.Attach(digests["1"], "application/spdx+json", spdxOf("1"), false))
	want := packages.Change{Name: "x", Old: "1", New: "2"}
	for _, fetched := range []bool{false, true} { // its layers have no list of packages
		got := plan("2")
		if got == nil || len(got.Packages) != 1 || got.Packages[0].Manager != "dpkg" || got.Packages[0].Changes[0] != want {
			t.Errorf("fetched %v: %+v; want %+v", fetched, got, want)
		}
		o := options("2")
		img, o, err := m.resolve(t.Context(), o, silent{})
		b.must(err)
		b.must(img.ReadConfig(t.Context()))
		b.must(m.fetch(t.Context(), img, o, silent{}))
		img.Close()
	}
	warned = nil
	b.must(server.Attach(digests["3"], "application/spdx+json", []byte("{}"), false))
	if got := plan("3"); got != nil || !strings.Contains(strings.Join(warned, "\n"), ":3: an SBOM in neither SPDX nor CycloneDX") {
		t.Errorf("of an invalid SBOM: %+v, warnings %q; want one", got, warned)
	}
}
