// Package oci reads container images, and hides where they are: in a
// registry, a directory or an archive, behind credentials, mirrors and
// signature policies. What it hands out has been verified.
package oci

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	godigest "github.com/opencontainers/go-digest"
	"go.podman.io/image/v5/directory"
	"go.podman.io/image/v5/docker"
	dockerarchive "go.podman.io/image/v5/docker/archive"
	"go.podman.io/image/v5/docker/reference"
	ociarchive "go.podman.io/image/v5/oci/archive"
	"go.podman.io/image/v5/oci/layout"
	"go.podman.io/image/v5/transports"
	"go.podman.io/image/v5/types"
)

// A Reference says where an image is, in the terms of
// containers-transports(5). The zero Reference is none.
type Reference struct {
	image  types.ImageReference
	signed bool
}

// pathTransports are those that are followed by a path.
var pathTransports = []string{"oci", "oci-archive", "docker-archive", "dir"}

// otherTransports are those of containers-transports(5) that cannot be a
// machine's source of updates. Their names are no registry images.
var otherTransports = []string{"containers-storage", "docker-daemon", "atomic", "ostree", "sif", "tarball"}

// ParseReference parses a reference with or without its transport:
// "docker://quay.io/os/base:stable", "oci:/path:tag", "oci-archive:", "docker-archive:"
// and "dir:". Without a transport it is a name in a registry, by default with the
// tag latest. The registry must be named: anyone could own a name without one at
// docker.io, so it is refused, and the error has the full name. Relative paths become
// absolute. The forms that bootc keeps in .origin files are understood too,
// such as "ostree-unverified-image:docker://quay.io/os/base".
func ParseReference(s string) (Reference, error) {
	ref, err := ParseOrigin(s)
	if err != nil {
		return Reference{}, err
	}
	name, _, _ := trimOSTree(s)
	if bare := strings.TrimPrefix(name, "docker://"); ref.Transport() == docker.Transport.Name() && !hasRegistry(bare) {
		return Reference{}, fmt.Errorf("reference %q has no registry; for Docker Hub, use %s",
			s, strings.TrimSuffix(s, bare)+fullName(ref, bare))
	}
	return ref, nil
}

// ParseOrigin parses a reference that a machine follows already. Like the programs
// that may have written it, ParseOrigin takes a name without a registry for one at
// docker.io.
func ParseOrigin(s string) (Reference, error) {
	name, signed, err := trimOSTree(s)
	if err != nil {
		return Reference{}, fmt.Errorf("reference %q: %w", s, err)
	}
	image, err := parseImage(name)
	if err != nil {
		return Reference{}, fmt.Errorf("reference %q: %w", s, err)
	}
	return Reference{image, signed}, nil
}

// ErrReference says that a text is no reference to an image.
var ErrReference = errors.New("not a name in a registry")

// hasRegistry reports whether a name begins with the host of a registry, by the
// rule of Docker.
func hasRegistry(name string) bool {
	host, _, ok := strings.Cut(name, "/")
	return ok && (host == "localhost" || strings.ContainsAny(host, ".:") || strings.ToLower(host) != host)
}

// fullName returns what a name without a registry is called at Docker's, with the tag
// and the digest that it has.
func fullName(ref Reference, name string) string {
	end := strings.IndexAny(name+":", ":@")
	return reference.TrimNamed(ref.image.DockerReference()).String() + name[end:]
}

// HasTransport reports whether a reference names its transport, as "oci:os:stable"
// does, so that it can be nothing else.
func HasTransport(s string) bool {
	transport, rest, ok := strings.Cut(s, ":")
	switch {
	case !ok:
		return false
	case transport == "docker":
		return strings.HasPrefix(rest, "//")
	}
	return strings.HasPrefix(transport, "ostree-") || slices.Contains(pathTransports, transport) || slices.Contains(otherTransports, transport)
}

// Spell returns the reference to what a transport of bootc switch has. "registry" is that of a
// target without one. With signed, the image has to be signed.
func Spell(transport, target string, signed bool) string {
	ref := target
	switch {
	case transport != "registry":
		ref = transport + ":" + target
	case !HasTransport(target):
		ref = "docker://" + target
	}
	if signed {
		return "ostree-image-signed:" + ref
	}
	return ref
}

// trimOSTree takes the prefix off by which ostree-ext, and bootc after it, says
// how an image is to be verified.
func trimOSTree(s string) (name string, signed bool, err error) {
	prefix, rest, _ := strings.Cut(s, ":")
	switch prefix {
	case "ostree-unverified-image":
		return registryPrefix(rest), false, nil
	case "ostree-image-signed":
		return registryPrefix(rest), true, nil
	case "ostree-unverified-registry":
		return "docker://" + rest, false, nil
	case "ostree-remote-image", "ostree-remote-registry":
		return "", false, fmt.Errorf("%s: signatures of OSTree remotes are not supported", prefix)
	}
	return s, false, nil
}

// registryPrefix gives what ostree-ext calls "registry:" its usual name.
func registryPrefix(s string) string {
	if rest, ok := strings.CutPrefix(s, "registry:"); ok {
		return "docker://" + rest
	}
	return s
}

func parseImage(s string) (types.ImageReference, error) {
	transport, rest, _ := strings.Cut(s, ":")
	switch transport {
	case "docker":
		if name, ok := strings.CutPrefix(rest, "//"); ok {
			return parseRegistry(name)
		}
	case "oci":
		return parsePath(rest, layout.ParseReference)
	case "oci-archive":
		return parsePath(rest, ociarchive.ParseReference)
	case "docker-archive":
		return parsePath(rest, dockerarchive.ParseReference)
	case "dir":
		if rest == "" {
			return nil, fmt.Errorf("no path")
		}
		path, err := filepath.Abs(rest)
		if err != nil {
			return nil, err
		}
		return directory.NewReference(path)
	}
	if slices.Contains(otherTransports, transport) {
		return nil, fmt.Errorf("cannot update from %s: want docker://, oci:, oci-archive:, docker-archive: or dir: instead", transport)
	}
	return parseRegistry(s)
}

// parseRegistry parses a name in a registry. If it has a tag and a digest, the
// digest counts, as it does for podman(1).
func parseRegistry(s string) (types.ImageReference, error) {
	named, err := reference.ParseNormalizedNamed(s)
	if err != nil && (strings.HasPrefix(s, ".") || strings.HasPrefix(s, "/")) {
		return nil, fmt.Errorf("it is a path: put oci:, oci-archive:, docker-archive: or dir: before it")
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrReference, err)
	}
	if digested, ok := named.(reference.Digested); ok {
		if named, err = reference.WithDigest(reference.TrimNamed(named), digested.Digest()); err != nil {
			return nil, err
		}
	}
	return docker.NewReference(reference.TagNameOnly(named))
}

// parsePath parses a path with what follows its first colon. The path is made
// absolute: the reference is kept, and read again in another directory.
func parsePath(s string, parse func(string) (types.ImageReference, error)) (types.ImageReference, error) {
	path, tag, colon := strings.Cut(s, ":")
	if path == "" {
		return nil, fmt.Errorf("no path")
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if colon {
		path += ":" + tag
	}
	return parse(path)
}

// String returns the reference with its transport, as ParseReference takes it.
func (r Reference) String() string {
	if r.image == nil {
		return ""
	}
	name := transports.ImageName(r.image)
	switch r.Transport() {
	case docker.Transport.Name():
		// The library leaves out docker.io, which is then to be guessed.
		name = "docker://" + r.image.DockerReference().String()
	case "dir":
	default:
		// The library writes a missing tag as a colon with nothing after it.
		name = strings.TrimSuffix(name, ":")
	}
	if r.signed {
		return "ostree-image-signed:" + name
	}
	return name
}

// Origin returns the reference in the form that bootc keeps in .origin files.
func (r Reference) Origin() string {
	if r.signed {
		return r.String()
	}
	return "ostree-unverified-image:" + r.String()
}

// Pinned returns the reference to the image with a manifest digest, whatever the
// tag names by now. Only registries can be asked for a digest: other references
// stay as they are.
func (r Reference) Pinned(manifestDigest string) (Reference, error) {
	if r.registry() == "" {
		return r, nil
	}
	d, err := godigest.Parse(manifestDigest)
	if err != nil {
		return Reference{}, fmt.Errorf("manifest digest %q: %w", manifestDigest, err)
	}
	named, err := reference.WithDigest(reference.TrimNamed(r.image.DockerReference()), d)
	if err != nil {
		return Reference{}, err
	}
	image, err := docker.NewReference(named)
	if err != nil {
		return Reference{}, err
	}
	return Reference{image, r.signed}, nil
}

// WithTag returns the reference with another tag, in place of a tag or a digest: the last part of
// the name of an image in a layout or an archive is its tag, too.
func (r Reference) WithTag(tag string) (Reference, error) {
	name := r.String()
	if r.registry() == "" {
		transport, path, _ := strings.Cut(name, ":")
		if r.signed {
			transport, path, _ = strings.Cut(path, ":")
		}
		if transport == "dir" {
			return Reference{}, fmt.Errorf("%s has one image and no tags", name)
		}
		path, _, _ = strings.Cut(path, ":")
		image, err := parseImage(transport + ":" + path + ":" + tag)
		return Reference{image, r.signed}, err
	}
	named, err := reference.WithTag(reference.TrimNamed(r.image.DockerReference()), tag)
	if err != nil {
		return Reference{}, fmt.Errorf("tag %q: %w", tag, err)
	}
	image, err := docker.NewReference(named)
	return Reference{image, r.signed}, err
}

// PinnedName returns the image's reference, by digest where that is possible, as
// a command line takes it.
func (i *Image) PinnedName() string {
	pinned, err := i.Reference.Pinned(i.ManifestDigest)
	if err != nil {
		return i.Reference.String() // a digest that this package has computed
	}
	return pinned.String()
}

// Transport returns the transport's name: "docker", "oci", ….
func (r Reference) Transport() string {
	if r.image == nil {
		return ""
	}
	return r.image.Transport().Name()
}

// MustBeSigned reports whether the image may only be used if a policy demands and
// finds a signature ("ostree-image-signed:").
func (r Reference) MustBeSigned() bool { return r.signed }

// registry returns the host (and port) of a name in a registry, else "".
func (r Reference) registry() string {
	if r.Transport() != docker.Transport.Name() {
		return ""
	}
	return reference.Domain(r.image.DockerReference())
}
