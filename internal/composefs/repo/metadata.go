package repo

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"syscall"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/verity"
	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
)

const (
	metadataName    = "meta.json"
	metadataVersion = 1

	// featureV1 says that images are V1, to programs that do not know
	// erofs_formats.
	featureV1 = "v1_erofs"
)

// metadata is the content of meta.json.
type metadata struct {
	Version   int      `json:"version"`
	Algorithm string   `json:"algorithm"`
	Features  features `json:"features"`
	Formats   *formats `json:"erofs_formats,omitempty"`
}

// features are what a program must know to read (incompatible) or to write
// (also read-only-compatible) the repository.
type features struct {
	Compatible   []string `json:"compatible"`
	ReadOnly     []string `json:"read-only-compatible"`
	Incompatible []string `json:"incompatible"`
}

// formats are the versions of the images.
type formats struct {
	Default *int            `json:"default,omitempty"`
	Extra   json.RawMessage `json:"extra,omitempty"`
}

// newMetadata returns the metadata of a new repository with V1 images.
func newMetadata(alg digest.Algorithm) metadata {
	m := legacyMetadata(alg)
	version := 1
	m.Features.ReadOnly = []string{featureV1}
	m.Formats = &formats{Default: &version}
	return m
}

// legacyMetadata returns the metadata of a repository from the time before
// meta.json. Its images are V2.
func legacyMetadata(alg digest.Algorithm) metadata {
	return metadata{
		Version: metadataVersion, Algorithm: alg.Name(),
		Features: features{Compatible: []string{}, ReadOnly: []string{}, Incompatible: []string{}},
	}
}

func (m metadata) encode() ([]byte, error) {
	data, err := json.MarshalIndent(m, "", "  ")
	return append(data, '\n'), err
}

// parseMetadata returns the metadata in data, or says what of it this program
// does not know.
func parseMetadata(data []byte) (metadata, error) {
	var m metadata
	if err := json.Unmarshal(data, &m); err != nil {
		return metadata{}, fmt.Errorf("%s: %w", metadataName, err)
	}
	if m.Version != metadataVersion {
		return metadata{}, fmt.Errorf("%s: repository has version %d: only %d is known here", metadataName, m.Version, metadataVersion)
	}
	if unknown := m.Features.Incompatible; len(unknown) > 0 {
		return metadata{}, fmt.Errorf("%s: repository needs features not known here: %q", metadataName, unknown)
	}
	if _, err := m.algorithm(); err != nil {
		return metadata{}, err
	}
	_, err := m.formatVersion()
	return m, err
}

func (m metadata) algorithm() (digest.Algorithm, error) {
	for _, a := range []digest.Algorithm{digest.SHA256, digest.SHA512} {
		if m.Algorithm == a.Name() {
			return a, nil
		}
	}
	return 0, fmt.Errorf("%s: algorithm %q is not known here", metadataName, m.Algorithm)
}

func (m metadata) formatVersion() (int, error) {
	switch {
	case m.Formats != nil && m.Formats.Default != nil:
		if v := *m.Formats.Default; v < 0 || v > 2 {
			return 0, fmt.Errorf("%s: images of version %d are not known here", metadataName, v)
		}
		return *m.Formats.Default, nil
	case slices.Contains(m.Features.ReadOnly, featureV1):
		return 1, nil
	}
	return 2, nil
}

// unknownReadOnly returns the features that do not let this program write.
func (m metadata) unknownReadOnly() []string {
	return slices.DeleteFunc(slices.Clone(m.Features.ReadOnly), func(f string) bool { return f == featureV1 })
}

// findMetadata returns what is known of a repository and whether it does
// without fs-verity, which it does if its meta.json does.
func findMetadata(dir, objects *os.File) (m metadata, insecure bool, err error) {
	f, err := sys.Openat(dir, metadataName, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return inferMetadata(objects)
	}
	if err != nil {
		return metadata{}, false, err
	}
	defer f.Close()
	data, err := bounded.ReadOpen(f, metadataName, limits.Record)
	if err != nil {
		return metadata{}, false, err
	}
	if m, err = parseMetadata(data); err != nil {
		return metadata{}, false, err
	}
	insecure, err = isUnprotected(f)
	return m, insecure, err
}

// inferMetadata tells from an object what kind of repository this is, since old
// versions of composefs-rs wrote no meta.json.
func inferMetadata(objects *os.File) (m metadata, insecure bool, err error) {
	f, d, err := anyObject(objects)
	if err != nil {
		return metadata{}, false, err
	}
	defer f.Close()
	insecure, err = isUnprotected(f)
	return legacyMetadata(d.Algorithm()), insecure, err
}

func isUnprotected(f *os.File) (bool, error) {
	_, err := verity.Measure(f)
	if errors.Is(err, verity.ErrNotEnabled) || errors.Is(err, verity.ErrNotSupported) {
		return true, nil
	}
	return false, err
}

// anyObject opens one of the objects. Without any, this is no repository.
func anyObject(objects *os.File) (*os.File, digest.Digest, error) {
	found := digest.Digest{}
	err := eachObject(objects, func(d digest.Digest) error {
		found = d
		return fs.SkipAll
	})
	if err != nil {
		return nil, found, err
	}
	if found.IsZero() {
		return nil, found, ErrNotARepository
	}
	f, err := sys.Openat(objects, found.ObjectPath(), os.O_RDONLY, 0)
	return f, found, err
}

// initMetadata writes meta.json. It says of a repository from before meta.json
// what it is, so an old one is not taken for a new one.
func initMetadata(root *os.Root, opts Options) error {
	dir, err := root.Open(".")
	if err != nil {
		return err
	}
	defer dir.Close()
	objects, err := root.Open(objectsDir)
	if err != nil {
		return err
	}
	defer objects.Close()
	m, insecure, err := inferMetadata(objects)
	if errors.Is(err, ErrNotARepository) {
		return writeMetadata(dir, newMetadata(opts.Algorithm), !opts.Insecure, opts.RequireVerity)
	}
	if err != nil {
		return err
	}
	return writeMetadata(dir, m, !insecure, opts.RequireVerity)
}

// writeMetadata writes meta.json to dir, protects it, and gives it its name last.
// Without protect it is left unprotected, which makes the repository an insecure
// one; so does, without require, a file system that has no fs-verity. The name
// survives a crash with the first thing that is published.
func writeMetadata(dir *os.File, m metadata, protect, require bool) error {
	data, err := m.encode()
	if err != nil {
		return err
	}
	alg, err := m.algorithm()
	if err != nil {
		return err
	}
	temps, err := newTempDir(dir)
	if err != nil {
		return err
	}
	f, err := temps.create()
	if err != nil {
		return err
	}
	defer f.drop()
	if _, err := f.Write(data); err != nil {
		return err
	}
	if protect || require {
		if err := f.protect(alg); err != nil && (require || !errors.Is(err, verity.ErrNotSupported)) {
			return err
		}
	}
	// Not fsync: what btrfs logs of a file then says that fs-verity protects it,
	// but leaves out by which tree, and nobody could open it after a crash.
	if err := sys.Syncfs(f.File); err != nil {
		return err
	}
	if err := f.moveTo(dir, metadataName); err != nil {
		// Another program may have been faster, and then have cleaned up this one's.
		if _, there := sys.Statx(dir, metadataName); there != nil {
			return err
		}
	}
	return nil
}
