package oci

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	godigest "github.com/opencontainers/go-digest"
	imgspec "github.com/opencontainers/image-spec/specs-go/v1"
	"go.podman.io/image/v5/oci/layout"
	"go.podman.io/image/v5/types"

	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
)

// The library reads the files of layouts and directories whole, and waits where one is
// a named pipe. So each is looked at before: it has to be a regular file, and not
// larger than a manifest may be. What is not there is for the library to say.

// checkFile looks at a file that will be read whole.
func checkFile(path string) error {
	size, err := regularSize(path)
	if err != nil {
		return err
	}
	if err := limits.Manifest.Check(size); err != nil {
		return fmt.Errorf("%s has %d bytes: %w", path, size, err)
	}
	return nil
}

// regularSize returns the size of a regular file, 0 if there is nothing.
func regularSize(path string) (int64, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	if !info.Mode().IsRegular() {
		return 0, fmt.Errorf("%s is not a regular file", path)
	}
	return info.Size(), nil
}

// checkFiles looks at the files by which an image begins.
func (i *Image) checkFiles() error {
	switch path := i.path(); i.Reference.Transport() {
	case "oci":
		return checkLayout(path)
	case "dir":
		return checkDir(path)
	}
	return nil
}

// path returns that of a reference to a file or directory.
func (i *Image) path() string {
	text := i.Reference.image.StringWithinTransport()
	if i.Reference.Transport() == "dir" {
		return text
	}
	path, _, _ := strings.Cut(text, ":")
	return path
}

func checkLayout(dir string) error {
	for _, name := range []string{imgspec.ImageIndexFile, imgspec.ImageLayoutFile} {
		if err := checkFile(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

// checkDir looks at manifests and signatures; all else there are blobs.
func checkDir(dir string) error {
	list, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, d := range list {
		name := d.Name()
		if name != "version" && !strings.HasSuffix(name, "manifest.json") && !strings.Contains(name, "signature-") {
			continue
		}
		if err := checkFile(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

// A layoutSource looks at a manifest in an OCI layout before the library reads it.
type layoutSource struct {
	types.ImageSource
	dir string
	top types.ImageReference // of the manifest that index.json names
}

func (s *layoutSource) GetManifest(ctx context.Context, instance *godigest.Digest) ([]byte, string, error) {
	d := instance
	if d == nil {
		top, err := layout.LoadManifestDescriptor(s.top)
		if err != nil {
			return nil, "", err
		}
		d = &top.Digest
	}
	if err := d.Validate(); err != nil {
		return nil, "", fmt.Errorf("digest %q: %w", *d, err)
	}
	if err := checkFile(layoutBlob(s.dir, *d)); err != nil {
		return nil, "", err
	}
	return s.ImageSource.GetManifest(ctx, instance)
}

func layoutBlob(dir string, d godigest.Digest) string {
	return filepath.Join(dir, imgspec.ImageBlobsDir, d.Algorithm().String(), d.Encoded())
}

// checkBlob looks whether a blob in a directory is a file: opening it may wait.
func (i *Image) checkBlob(d godigest.Digest) (err error) {
	switch source, ok := i.source.(*layoutSource); {
	case ok:
		_, err = regularSize(layoutBlob(source.dir, d))
	case i.Reference.Transport() == "dir":
		_, err = regularSize(filepath.Join(i.path(), d.Encoded()))
	}
	return err
}
