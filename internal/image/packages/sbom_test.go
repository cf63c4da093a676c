package packages

import (
	"reflect"
	"testing"
)

const (
	spdx = `{"spdxVersion": "SPDX-2.3", "packages": [
		{"name": "libc6", "versionInfo": "2.41", "externalRefs": [
			{"referenceType": "cpe23Type", "referenceLocator": "cpe:2.3:a:libc6"},
			{"referenceType": "purl", "referenceLocator": "pkg:deb/debian/libc6@2.41-12%2Bb1?arch=amd64&distro=debian-13"}]},
		{"name": "golang.org/x/sys", "externalRefs": [{"referenceType": "purl", "referenceLocator": "pkg:golang/golang.org/x/sys@v1"}]},
		{"name": "none"}]}`
	cyclone = `{"bomFormat": "CycloneDX", "components": [
		{"name": "curl", "purl": "pkg:rpm/fedora/curl@7.50.3-1.fc25?arch=x86_64&epoch=1"},
		{"name": "bash", "purl": "pkg:rpm/fedora/bash@5.3-1?arch=x86_64"},
		{"name": "linux", "purl": "pkg:alpm/arch/linux@6.12.1-1?arch=x86_64"}, {"name": "x", "purl": "pkg:rpm/%zz@1"}]}`
)

func TestParseSBOM(t *testing.T) {
	for data, want := range map[string][]List{
		spdx: {{Manager: "dpkg", Packages: []Package{{Name: "libc6", Version: "2.41-12+b1"}}}},
		cyclone: {
			{Manager: "pacman", Packages: []Package{{Name: "linux", Version: "6.12.1-1"}}},
			{Manager: "rpm", Packages: []Package{{Name: "bash", Version: "5.3-1"}, {Name: "curl", Version: "1:7.50.3-1.fc25"}}},
		},
		`{"spdxVersion": "SPDX-2.3"}`: nil,
	} {
		if got, err := ParseSBOM([]byte(data)); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("ParseSBOM(%.40s) = %+v, %v; want %+v", data, got, err, want)
		}
	}
	for _, data := range []string{"", "{}", `{"bomFormat": "other"}`, `[]`, `{"components": 1}`} {
		if got, err := ParseSBOM([]byte(data)); err == nil {
			t.Errorf("ParseSBOM(%s) = %+v; want an error", data, got)
		}
	}
}

// A list of a database and one of an SBOM name the same packages otherwise.
func TestCompareLists(t *testing.T) {
	old := []List{
		{Manager: "dpkg", Packages: []Package{{Name: "a", Version: "1"}, {Name: "libc6:amd64", Version: "2"}}},
		{Manager: "rpm", Unread: true}, {Manager: "pacman", Packages: []Package{{Name: "same", Version: "0:1"}}},
	}
	now := []List{
		{Manager: "dpkg", Packages: []Package{{Name: "a", Version: "1"}, {Name: "libc6", Version: "3"}}},
		{Manager: "rpm", Packages: []Package{{Name: "x", Version: "1"}}}, {Manager: "pacman", Packages: []Package{{Name: "same", Version: "1"}}},
	}
	want := []ManagerDiff{{"dpkg", []Change{{Name: "libc6", Old: "2", New: "3"}}}}
	if got := CompareLists(old, now); !reflect.DeepEqual(got, want) {
		t.Errorf("CompareLists = %+v; want %+v", got, want)
	}
}

func FuzzSBOM(f *testing.F) {
	f.Add([]byte(spdx))
	f.Add([]byte(cyclone))
	f.Fuzz(func(t *testing.T, data []byte) {
		lists, err := ParseSBOM(data)
		if err != nil && lists != nil {
			t.Errorf("ParseSBOM has %+v beside the error %v", lists, err)
		}
		for _, l := range lists {
			if l.Manager == "" || len(l.Packages) == 0 {
				t.Errorf("ParseSBOM has the list %+v", l)
			}
			for _, p := range l.Packages {
				if p.Name == "" || p.Version == "" {
					t.Errorf("ParseSBOM has %+v", p)
				}
			}
		}
	})
}
