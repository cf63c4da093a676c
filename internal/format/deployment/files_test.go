package deployment

import (
	"reflect"
	"strings"
	"testing"
)

const bootcOrigin = `[origin]
container-image-reference=ostree-unverified-image:docker://quay.io/os:1

[boot]
boot_type=bls
digest=12ab

[image]
manifest_digest=sha256:34cd
`

func TestParseOrigin(t *testing.T) {
	o, err := ParseOrigin([]byte(bootcOrigin))
	want := Origin{
		Reference: "ostree-unverified-image:docker://quay.io/os:1",
		BootType:  BootBLS, BootDigest: "12ab", ManifestDigest: "sha256:34cd",
	}
	if err != nil || !reflect.DeepEqual(o, want) {
		t.Errorf("ParseOrigin = %+v, %v; want %+v", o, err, want)
	}
	if got := o.Followed(); got != "docker://quay.io/os:1" {
		t.Errorf("Followed() = %q; want docker://quay.io/os:1", got)
	}
	for _, demand := range []string{"ostree-image-signed:docker://quay.io/os:1", "ostree-remote-image:fedora:docker://quay.io/os:1"} {
		if got := (Origin{Reference: demand}).Followed(); got != demand {
			t.Errorf("Followed() = %q; want %q", got, demand)
		}
	}
	if got := string(o.Encode()); got != bootcOrigin {
		t.Errorf("Encode() = %q; want %q", got, bootcOrigin)
	}
}

func TestOriginKeepsExtra(t *testing.T) {
	const in = "# comment\n[boot]\n digest = 1 \nfuture=a=b\n[new]\nx=\n[sysupdate-image]\nversion=2\n"
	const want = "[boot]\ndigest=1\nfuture=a=b\n\n[sysupdate-image]\nversion=2\n\n[new]\nx=\n"
	o, err := ParseOrigin([]byte(in))
	if got := string(o.Encode()); got != want || err != nil {
		t.Errorf("ParseOrigin(%q).Encode() = %q, %v; want %q", in, got, err, want)
	}
}

func TestOriginRefuses(t *testing.T) {
	for _, in := range []string{"a=b", "[x]\nnonsense", "[x]\n=b", "[x"} {
		if o, err := ParseOrigin([]byte(in)); err == nil || !strings.Contains(err.Error(), "line ") {
			t.Errorf("ParseOrigin(%q) = %+v, %v; want an error naming the line", in, o, err)
		}
	}
}

func TestOriginCannotBeInjected(t *testing.T) {
	o := Origin{Reference: "x", Version: "1\n[origin]\ncontainer-image-reference=evil"}
	got, err := ParseOrigin(o.Encode())
	if err != nil || got.Reference != "x" || strings.Contains(got.Version, "\n") {
		t.Errorf("read back %+v, %v", got, err)
	}
}

func TestImageReference(t *testing.T) {
	for in, want := range map[string]string{
		"ostree-unverified-image:docker://quay.io/os:1":             "docker://quay.io/os:1",
		"ostree-unverified-image:oci:/var/os:1":                     "oci:/var/os:1",
		"ostree-unverified-image:registry:quay.io/os":               "docker://quay.io/os",
		"ostree-unverified-registry:quay.io/os:1":                   "docker://quay.io/os:1",
		"ostree-image-signed:docker://quay.io/os":                   "docker://quay.io/os",
		"ostree-remote-image:fedora:docker://quay.io/os":            "docker://quay.io/os",
		"ostree-remote-registry:fedora:quay.io/os":                  "docker://quay.io/os",
		"docker://quay.io/os":                                       "docker://quay.io/os",
		"":                                                          "",
		ReferenceFor("oci-archive:/tmp/x.tar"):                      "oci-archive:/tmp/x.tar",
		"ostree-unverified-image:containers-storage:localhost/os:1": "containers-storage:localhost/os:1",
	} {
		if got := (Origin{Reference: in}).ImageReference(); got != want {
			t.Errorf("ImageReference of %q = %q; want %q", in, got, want)
		}
	}
}

func FuzzParseOrigin(f *testing.F) {
	f.Add(bootcOrigin)
	f.Add("[a]\nb=c\n[]]\nx=1\n")
	f.Add("[boot]\nboot_type=\x00")
	f.Add("[a]\n[x=y]\x00\nz=1")
	f.Fuzz(func(t *testing.T, in string) {
		o, err := ParseOrigin([]byte(in))
		if err != nil {
			return
		}
		out := o.Encode()
		again, err := ParseOrigin(out)
		if err != nil || string(again.Encode()) != string(out) {
			t.Errorf("%q encodes to %q, and that to %q, %v", in, out, again.Encode(), err)
		}
	})
}

func TestStaged(t *testing.T) {
	s := Staged{ID: ID(short), Entry: "a+3.conf.staged", BootID: "b", Etc: EtcBind, EtcConflicts: ConflictsNew, Published: true}
	want := `{"depl_id":"` + short + `","finalization_locked":false,"entry":"a+3.conf.staged","boot_id":"b","etc":"bind","etc_conflicts":"new","published":true}` + "\n"
	if got := string(s.Encode()); got != want {
		t.Errorf("Encode() = %q; want %q", got, want)
	}
	if got, err := ParseStaged(s.Encode()); err != nil || got != s {
		t.Errorf("ParseStaged = %+v, %v; want %+v", got, err, s)
	}
	// As bootc writes it.
	got, err := ParseStaged([]byte(`{"depl_id":"` + long + `","finalization_locked":true,"new":1}`))
	if want := (Staged{ID: ID(long), FinalizationLocked: true}); err != nil || got != want {
		t.Errorf("ParseStaged = %+v, %v; want %+v", got, err, want)
	}
}

func TestParseStagedRefuses(t *testing.T) {
	for want, in := range map[string]string{
		"unexpected end":       "",
		"deployment id":        `{"depl_id":"../x"}`,
		"not a file name":      `{"depl_id":"` + short + `","entry":"../x.conf"}`,
		"unknown kind":         `{"depl_id":"` + short + `","etc":"banana"}`,
		"policy for conflicts": `{"depl_id":"` + short + `","etc_conflicts":"ask"}`,
	} {
		if s, err := ParseStaged([]byte(in)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseStaged(%q) = %+v, %v; want an error with %q", in, s, err, want)
		}
	}
}

func FuzzParseStaged(f *testing.F) {
	f.Add([]byte(`{"depl_id":"` + short + `"}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		s, err := ParseStaged(in)
		if err != nil {
			return
		}
		if again, err := ParseStaged(s.Encode()); err != nil || again != s {
			t.Errorf("ParseStaged(%q) = %+v; read back %+v, %v", in, s, again, err)
		}
	})
}
