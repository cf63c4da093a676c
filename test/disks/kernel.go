package disks

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/gzip"
)

// Kernel returns a directory with Debian's kernel, vmlinuz, as it is in image
// base, and its modules below kernel and listed in modules.dep.
func Kernel(ctx context.Context) (string, error) {
	layout, err := Image(ctx, "base")
	if err != nil {
		return "", err
	}
	return kernelOf(ctx, layout)
}

// kernelOf is Kernel for the image in an OCI layout whose layers are compressed by gzip.
func kernelOf(ctx context.Context, layout string) (string, error) {
	return cached(ctx, "kernel", keyOf("1", filepath.Base(layout)), func(_ context.Context, dir string) error {
		blobs, err := filepath.Glob(filepath.Join(layout, "blobs/sha256/*"))
		if err != nil {
			return err
		}
		for _, blob := range blobs {
			if info, err := os.Stat(blob); err != nil || info.Size() < 1<<20 {
				continue // configuration or manifest
			}
			if err := extractKernel(blob, dir); err != nil {
				return err
			}
		}
		_, err = os.Stat(filepath.Join(dir, "vmlinuz"))
		return err
	})
}

// extractKernel writes what a layer has below /usr/lib/modules/VERSION to dir.
func extractKernel(blob, dir string) error {
	f, err := os.Open(blob)
	if err != nil {
		return err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return fmt.Errorf("%s: %w", blob, err)
	}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		_, name, ok := strings.Cut(path.Clean(h.Name), "usr/lib/modules/")
		_, name, below := strings.Cut(name, "/")
		if !ok || !below || h.Typeflag != tar.TypeReg {
			continue
		}
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		out, err := os.Create(file)
		if err != nil {
			return err
		}
		if _, err := io.Copy(out, r); err != nil {
			return errors.Join(err, out.Close())
		}
		if err := out.Close(); err != nil {
			return err
		}
	}
}
