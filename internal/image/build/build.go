// Package build makes composefs images from dumps and from directories.
package build

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/canonical"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/erofs"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/repo"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/scan"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/verity"
	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
)

// A Source is what an image is made from: a dump, or a directory.
type Source struct {
	Dump  string    // file name, "-" for Stdin; "" if it is a directory
	Stdin io.Reader // for Dump
	Dir   string
	Form  canonical.Form // of the directory's tree
	AsIs  bool           // use the directory's tree as it is, in no form
	// Mounted is told the mount points below Dir; it may be nil.
	Mounted func(path string)
}

// File builds an image and returns its fs-verity digest. It writes the image to the file
// out, which has that name when it is complete, or nowhere if out is "".
func File(ctx context.Context, src Source, opts erofs.Options, out string) (digest.Digest, error) {
	root, err := src.tree(ctx, scan.Options{Algorithm: opts.Algorithm, Mounted: src.Mounted})
	if err != nil {
		return digest.Digest{}, err
	}
	if src.Dump != "" {
		opts.Dialect = erofs.Mkcomposefs
	}
	if out == "" {
		return erofs.Digest(ctx, root, opts)
	}
	hash := verity.New(opts.Algorithm)
	err = writeWhole(out, func(w io.Writer) error {
		return erofs.Write(ctx, io.MultiWriter(w, hash), root, opts)
	})
	return hash.Sum(), err
}

// Into builds an image from a directory and stores it with the contents of its files in
// the repository at dir, which is created if it is missing, under a name unless that is
// "". It writes the image to the file out, too, unless that is "".
func Into(ctx context.Context, src Source, dir, name, out string) (digest.Digest, error) {
	r, err := repo.Init(dir, repo.Options{})
	if err != nil {
		return digest.Digest{}, err
	}
	defer r.Close()
	unlock, err := r.Lock(true)
	if err != nil {
		return digest.Digest{}, err
	}
	defer unlock()
	root, err := src.tree(ctx, scan.Options{Repository: r, Mounted: src.Mounted})
	if err != nil {
		return digest.Digest{}, err
	}
	opts := erofs.Options{Version: r.FormatVersion(), Algorithm: r.Algorithm()}
	write := func(w io.Writer) error { return erofs.Write(ctx, w, root, opts) }
	d, err := r.PutImage(write)
	if err == nil && name != "" {
		err = r.SetImageRef(name, d.String())
	}
	if err == nil && out != "" {
		err = writeWhole(out, write)
	}
	return d, err
}

func (s Source) tree(ctx context.Context, opts scan.Options) (*tree.Node, error) {
	if s.Dump != "" {
		return s.readDump()
	}
	dir, err := os.Open(s.Dir)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	root, err := scan.Scan(ctx, dir, opts)
	if err != nil {
		return nil, err
	}
	if s.AsIs {
		root.Root.CountLinks() // of names below Dir
		return root.Root, nil
	}
	return root.Root, canonical.Transform(ctx, root.Root, func(n *tree.Node) ([]byte, error) {
		r, err := root.Open(n)
		if err != nil {
			return nil, err
		}
		defer r.Close()
		return bounded.ReadAll(r, limits.Contexts)
	}, s.Form)
}

func (s Source) readDump() (*tree.Node, error) {
	if s.Dump == "-" {
		return tree.ParseDump(s.Stdin)
	}
	file, err := os.Open(s.Dump)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	root, err := tree.ParseDump(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.Dump, err)
	}
	return root, nil
}

// writeWhole writes a file that has its name when it is complete.
func writeWhole(name string, write func(io.Writer) error) error {
	f, err := os.CreateTemp(filepath.Dir(name), ".new-*")
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", name, err)
	}
	err = write(f)
	if err == nil {
		err = f.Chmod(0o644)
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		os.Remove(f.Name())
		return fmt.Errorf("cannot write %s: %w", name, err)
	}
	return nil
}
