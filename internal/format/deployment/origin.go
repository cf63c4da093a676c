package deployment

import (
	"fmt"
	"strings"
)

// An Origin tells where a deployment came from: the file ID.origin in its state
// directory, which bootc reads and writes too. Empty fields are not written.
type Origin struct {
	Reference      string // as bootc writes it: "ostree-unverified-image:docker://…"
	BootType       BootType
	BootDigest     string // SHA-256 of kernel and initramfs, hexadecimal
	ManifestDigest string // "sha256:…"

	// What follows is ours alone, in the section [sysupdate-image].
	Version string // of the image, for people
	Created string // when the image was made, RFC 3339
	Kernel  string // kernel release, as uname -r
	Options string // kernel command line for a kernel that has none in it, with UKI
	// Installed are the kernel arguments that the installation added.
	Installed string

	Signature string // how the image was checked: see oci.Image
	Policy    string // file of the signature policy that was given by --policy

	Extra []Setting // what else the file says, in its order
}

// A Setting is a line of an origin file.
type Setting struct{ Section, Key, Value string }

// A BootType is the form in which a deployment's kernel is on the boot partition.
type BootType string

// The forms. An origin may have another one, of a later version of bootc.
const (
	BootBLS BootType = "bls" // kernel and initramfs
	BootUKI BootType = "uki" // a unified kernel image
)

// originField is a field of an Origin and its place in the file.
type originField struct {
	section, key string
	value        *string
}

func (o *Origin) fields() []originField {
	return []originField{
		{"origin", "container-image-reference", &o.Reference},
		{"boot", "boot_type", (*string)(&o.BootType)},
		{"boot", "digest", &o.BootDigest},
		{"image", "manifest_digest", &o.ManifestDigest},
		{"sysupdate-image", "version", &o.Version},
		{"sysupdate-image", "created", &o.Created},
		{"sysupdate-image", "kernel", &o.Kernel},
		{"sysupdate-image", "options", &o.Options},
		{"sysupdate-image", "installed-options", &o.Installed},
		{"sysupdate-image", "signature", &o.Signature},
		{"sysupdate-image", "policy", &o.Policy},
	}
}

// ParseOrigin reads an origin file. Of a key that is given twice, the last
// value counts. Keys that are not known are kept in Extra.
func ParseOrigin(data []byte) (Origin, error) {
	var o Origin
	section := ""
	for n, line := range strings.Split(string(data), "\n") {
		line = oneLine(line)
		if line == "" || line[0] == '#' || line[0] == ';' {
			continue
		}
		if line[0] == '[' && line[len(line)-1] == ']' {
			section = strings.TrimSpace(line[1 : len(line)-1])
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		if !ok || key == "" || section == "" {
			return Origin{}, fmt.Errorf("line %d: want [section] or key=value below one", n+1)
		}
		o.set(Setting{section, key, value})
	}
	return o, nil
}

func (o *Origin) set(s Setting) {
	for _, f := range o.fields() {
		if f.section == s.Section && f.key == s.Key {
			*f.value = s.Value
			return
		}
	}
	o.Extra = append(o.Extra, s)
}

// Encode returns the origin file, which ends with a line break. Some values come
// from images, so a line break in one becomes a space.
func (o Origin) Encode() []byte {
	var sections []string
	lines := make(map[string][]string)
	add := func(section, key, value string) {
		if _, ok := lines[section]; !ok {
			sections = append(sections, section)
		}
		lines[section] = append(lines[section], key+"="+oneLine(value)+"\n")
	}
	for _, f := range o.fields() {
		if oneLine(*f.value) != "" {
			add(f.section, f.key, *f.value)
		}
	}
	for _, s := range o.Extra {
		add(s.Section, s.Key, s.Value)
	}
	var b strings.Builder
	for i, section := range sections {
		if i > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "[%s]\n%s", section, strings.Join(lines[section], ""))
	}
	return []byte(b.String())
}

// oneLine returns a value as an origin file can have it.
func oneLine(s string) string {
	return strings.TrimSpace(strings.NewReplacer("\n", " ", "\r", " ", "\x00", " ").Replace(s))
}

// How ostree and bootc mark that a reference's signature is not checked by
// ostree. The two long forms are what bootc writes, the others what it reads.
var referencePrefixes = []struct{ prefix, transport string }{
	{"ostree-unverified-image:", ""},
	{"ostree-unverified-registry:", "docker://"},
	{"ostree-image-signed:", ""},
}

// ReferenceFor returns what Origin.Reference says for an image reference with
// its transport, such as "docker://registry.example.org/os:stable".
func ReferenceFor(imageReference string) string {
	return referencePrefixes[0].prefix + imageReference
}

// ImageReference returns the image reference with its transport
// ("docker://…", "oci:/path:tag"), "" if the origin has none.
func (o Origin) ImageReference() string {
	for _, p := range referencePrefixes {
		if ref, ok := strings.CutPrefix(o.Reference, p.prefix); ok {
			return normalTransport(p.transport + ref)
		}
	}
	// ostree-remote-image:REMOTE:TRANSPORT… and ostree-remote-registry:REMOTE:NAME
	if rest, ok := strings.CutPrefix(o.Reference, "ostree-remote-image:"); ok {
		_, ref, _ := strings.Cut(rest, ":")
		return normalTransport(ref)
	}
	if rest, ok := strings.CutPrefix(o.Reference, "ostree-remote-registry:"); ok {
		_, ref, _ := strings.Cut(rest, ":")
		return normalTransport("docker://" + ref)
	}
	return normalTransport(o.Reference)
}

// Followed returns the reference to follow, with what it demands of signatures:
// ImageReference leaves that out.
func (o Origin) Followed() string {
	for _, demand := range []string{"ostree-image-signed:", "ostree-remote-image:", "ostree-remote-registry:"} {
		if strings.HasPrefix(o.Reference, demand) {
			return o.Reference
		}
	}
	return o.ImageReference()
}

// normalTransport spells "registry:NAME", which ostree also knows, as others do.
func normalTransport(ref string) string {
	if name, ok := strings.CutPrefix(ref, "registry:"); ok {
		return "docker://" + name
	}
	return ref
}
