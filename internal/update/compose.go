package update

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs"
	"github.com/sysupdate-image/sysupdate-image/internal/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/erofs"
	"github.com/sysupdate-image/sysupdate-image/internal/kargs"
	"github.com/sysupdate-image/sysupdate-image/internal/layer"
	"github.com/sysupdate-image/sysupdate-image/internal/oci"
	"github.com/sysupdate-image/sysupdate-image/internal/rootconfig"
	"github.com/sysupdate-image/sysupdate-image/internal/selabel"
	"github.com/sysupdate-image/sysupdate-image/internal/store"
)

// A System is an image whose layers are all in the repository, as the system
// that it boots.
type System struct {
	Tree           *composefs.Node // as the layers give it, with /boot
	Kernel         Kernel
	Name, Version  string   // from os-release(5), for people
	Kargs          []string // kernel arguments that the image asks for
	Mounts         rootconfig.Config
	repo           *store.Repository
	manifestDigest string
}

// compose merges the layers of an image and says what system they make. An
// image that cannot boot is an error.
func compose(ctx context.Context, img *oci.Image, repo *store.Repository) (*System, error) {
	s := &System{repo: repo, manifestDigest: img.ManifestDigest}
	for _, l := range img.Layers {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := s.apply(l); err != nil {
			return nil, fmt.Errorf("cannot merge layer %s: %w", l.Digest, err)
		}
	}
	if s.Tree == nil {
		return nil, errors.New("image has no layers")
	}
	if err := checkBootable(s.Tree); err != nil {
		return nil, fmt.Errorf("image cannot boot: %w", err)
	}
	var err error
	if s.Kernel, err = FindKernel(s.Tree); err != nil {
		return nil, fmt.Errorf("image cannot boot: %w", err)
	}
	return s, s.describe(img)
}

// apply merges a layer over those before it.
func (s *System) apply(l oci.Layer) error {
	stream, err := s.repo.OpenStream(layer.StreamName(l.DiffID))
	if err != nil {
		return err
	}
	defer stream.Close()
	s.Tree, err = layer.Apply(s.Tree, stream)
	return err
}

// Title returns what people call the system.
func (s *System) Title() string {
	if s.Version == "" {
		return s.Name
	}
	return s.Name + " (" + s.Version + ")"
}

// describe reads the image's name, version, mounts and kernel arguments.
func (s *System) describe(img *oci.Image) error {
	text, err := fs.ReadFile(s.FS(), "usr/lib/os-release")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	s.Name, s.Version = titles(osRelease(text))
	if label := img.Config.Config.Labels["org.opencontainers.image.version"]; label != "" {
		s.Version = label
	}
	if s.Mounts, err = rootconfig.OfImage(s.FS()); err != nil {
		return err
	}
	s.Kargs, err = kargs.Load(s.FS(), img.Config.Architecture)
	return err
}

// build writes the composefs image of the system and returns its deployment id.
func (s *System) build() (deployment.ID, error) {
	root := s.Tree
	if err := composefs.TransformForOCI(root, false); err != nil {
		return "", err
	}
	labeler, err := selabel.LoadTree(root, s.content)
	if err != nil {
		return "", fmt.Errorf("cannot read the image's SELinux policy: %w", err)
	}
	if err := composefs.TransformForBoot(root, labeler); err != nil {
		return "", err
	}
	options := erofs.Options{Version: s.repo.FormatVersion(), Algorithm: s.repo.Algorithm()}
	d, err := s.repo.PutImage(func(w io.Writer) error { return erofs.Write(w, root, options) })
	if err != nil {
		return "", fmt.Errorf("cannot write composefs image: %w", err)
	}
	return deployment.ID(d.String()), nil
}

// FS returns the image's files to read.
func (s *System) FS() fs.FS {
	return composefs.FS(s.Tree, func(n *composefs.Node) (io.ReadCloser, error) { return s.open(n) })
}

// open returns the content of a regular file.
func (s *System) open(n *composefs.Node) (io.ReadSeekCloser, error) {
	if n.Digest.IsZero() {
		return nopCloser{bytes.NewReader(n.Inline)}, nil
	}
	return s.repo.OpenObject(n.Digest)
}

type nopCloser struct{ io.ReadSeeker }

func (nopCloser) Close() error { return nil }

// openPath returns the content of the regular file at a path.
func (s *System) openPath(path string) (io.ReadCloser, error) {
	n := s.Tree.Lookup(path)
	if n == nil || !n.IsRegular() {
		return nil, fmt.Errorf("/%s in the image: %w", path, fs.ErrNotExist)
	}
	return s.open(n)
}

// content returns what is in a regular file.
func (s *System) content(n *composefs.Node) ([]byte, error) {
	r, err := s.open(n)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}
