package oci

import (
	"cmp"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	imgspec "github.com/opencontainers/image-spec/specs-go/v1"
	"go.podman.io/image/v5/docker/reference"
	"go.podman.io/image/v5/oci/layout"
	"go.podman.io/image/v5/types"
)

// Architectures are those of Linux, as images name them.
var Architectures = []string{
	"386", "amd64", "arm", "arm64", "loong64", "mips", "mips64", "mips64le", "mipsle", "ppc64", "ppc64le", "riscv64", "s390x",
}

// otherNames are what uname(1) and distributions call architectures.
var otherNames = map[string]string{
	"x86_64": "amd64", "x86-64": "amd64", "aarch64": "arm64", "i386": "386", "i686": "386", "x86": "386",
	"armhf": "arm/v7", "armv7l": "arm/v7", "armv6l": "arm/v6", "loongarch64": "loong64", "ppc64el": "ppc64le",
}

// ParseArchitecture reads the name of an architecture as images have it, with a
// variant or without: "amd64", "arm/v7". As in messages, "linux/" may be before
// it.
func ParseArchitecture(name string) (architecture, variant string, err error) {
	architecture, variant, cut := strings.Cut(strings.TrimPrefix(name, "linux/"), "/")
	if other := otherNames[architecture]; other != "" {
		return "", "", fmt.Errorf("container images call %s %s", architecture, other)
	}
	if !slices.Contains(Architectures, architecture) {
		return "", "", fmt.Errorf("unknown architecture %q: want one of %s, or with a variant, such as arm/v7",
			architecture, strings.Join(Architectures, ", "))
	}
	if cut && (len(variant) < 2 || variant[0] != 'v' || strings.Trim(variant[1:], "0123456789.") != "") {
		return "", "", fmt.Errorf("%q is not a variant of %s: want v and a number, such as v7", variant, architecture)
	}
	return architecture, variant, nil
}

// An OtherPlatformError says that an image is for other machines than the one
// that is wanted.
type OtherPlatformError struct {
	Image   string
	Offered []string // platforms that it is for, such as "linux/arm64"
	Wanted  string
	Chosen  bool // Wanted is not just that of the running machine
	list    bool
}

func newOtherPlatform(ref Reference, offered []string, wanted Options, list bool) *OtherPlatformError {
	chosen := wanted.Architecture != ""
	if !chosen {
		wanted.Architecture = runtime.GOARCH
	}
	p := imgspec.Platform{OS: "linux", Architecture: wanted.Architecture, Variant: wanted.Variant}
	if !chosen && slices.ContainsFunc(offered, func(name string) bool { return strings.HasPrefix(name, "linux/amd64/") }) {
		p.Variant = amd64Level() // or a lower one
	}
	return &OtherPlatformError{ref.String(), offered, platformName(p), chosen, list}
}

func (e *OtherPlatformError) Error() string {
	is := "is for"
	if e.list {
		is = "offers"
	}
	offered := strings.Join(e.Offered, ", ")
	if e.Chosen {
		return fmt.Sprintf("%s is not for %s: it %s %s", e.Image, e.Wanted, is, offered)
	}
	return fmt.Sprintf("%s is not for this machine: it %s %s, want %s", e.Image, is, offered, e.Wanted)
}

func platformName(p imgspec.Platform) string {
	name := p.OS + "/" + p.Architecture
	if p.Variant != "" {
		name += "/" + p.Variant
	}
	return name
}

// platforms returns those that a list of manifests offers, such as
// "linux/arm64". What is not for any machine, as attestations are, is "unknown"
// and left out.
func platforms(index imgspec.Index) []string {
	var names []string
	for _, m := range index.Manifests {
		if m.Platform == nil || m.Platform.Architecture == "unknown" {
			continue
		}
		name := platformName(*m.Platform)
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// checkPlatform refuses an image whose configuration says that it is for
// another machine. A list of manifests may say otherwise, and an image without
// a list says it nowhere else. An empty field says nothing. A machine of one
// variant runs what is for lower ones, and so does this one if it is of amd64.
func checkPlatform(ref Reference, p imgspec.Platform, wanted Options) error {
	fits := (p.OS == "" || p.OS == "linux") &&
		(p.Architecture == "" || p.Architecture == cmp.Or(wanted.Architecture, runtime.GOARCH)) &&
		(wanted.Variant == "" || p.Variant <= wanted.Variant) &&
		(p.Architecture != "amd64" || slices.Contains(variantsOfAMD64(wanted.Architecture, wanted.Variant), p.Variant))
	if fits {
		return nil
	}
	p.OS = cmp.Or(p.OS, "linux")
	return newOtherPlatform(ref, []string{platformName(p)}, wanted, false)
}

// checkPinned checks the digest of the manifest that the reference itself, or
// the index.json of an OCI layout, says it has.
func (i *Image) checkPinned(raw []byte) error {
	ref := i.Reference.image
	if named, ok := ref.DockerReference().(reference.Digested); ok {
		return sameDigest(i.Reference.String(), raw, named.Digest())
	}
	switch i.Reference.Transport() {
	case "oci":
	case "oci-archive":
		var err error
		if _, ref, err = i.unpacked(); err != nil {
			return err
		}
	default:
		return nil
	}
	descriptor, err := layout.LoadManifestDescriptor(ref)
	if err != nil {
		return explain(i.Reference, err)
	}
	if err := sameDigest("manifest", raw, descriptor.Digest); err != nil {
		return fmt.Errorf("%s: %w", i.Reference, err)
	}
	return nil
}

// unpacked returns the layout into which the library has unpacked an archive, in a
// directory of its own making, the only one in ours.
func (i *Image) unpacked() (dir string, ref types.ImageReference, err error) {
	found, err := filepath.Glob(filepath.Join(i.temp.path, "*", imgspec.ImageIndexFile))
	if err != nil || len(found) != 1 {
		return "", nil, fmt.Errorf("cannot find the index of %s", i.Reference)
	}
	dir = filepath.Dir(found[0])
	_, tag, _ := strings.Cut(i.Reference.image.StringWithinTransport(), ":")
	ref, err = layout.ParseReference(dir + ":" + tag)
	return dir, ref, err
}
