// Package system is an image as the operating system that it boots: its kernel, what it
// is called, how its root is mounted, and the composefs image that it makes.
//
//	s, err := system.Compose(ctx, img, repo, true) // the layers are in the repository
//	id, err := s.Build(ctx)                        // its composefs image
//
// An image that cannot boot is refused with the reason, and so is a sealed one whose
// digest is not that of its seal.
package system

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/canonical"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/erofs"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/repo"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/selabel"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/format/bootentry"
	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/format/printable"
	"github.com/sysupdate-image/sysupdate-image/internal/format/uki"
	"github.com/sysupdate-image/sysupdate-image/internal/image/initramfs"
	"github.com/sysupdate-image/sysupdate-image/internal/image/kargs"
	"github.com/sysupdate-image/sysupdate-image/internal/image/layer"
	"github.com/sysupdate-image/sysupdate-image/internal/image/oci"
	"github.com/sysupdate-image/sysupdate-image/internal/image/rootconfig"
)

// A System is an image whose layers are all in the repository, as the system
// that it boots.
type System struct {
	Tree          *tree.Node // as the layers give it, with /boot
	Kernel        Kernel
	Name, Version string   // from os-release(5), for people
	Kargs         []string // kernel arguments that the image asks for
	Mounts        rootconfig.Config
	repo          *repo.Repository
	name          string            // of the image, by digest where it can be
	Form          canonical.Variant // how its composefs image is made
	image         *oci.Image
	expand        bool               // see layer.Merger
	late          []string           // whiteouts, see layer.Merger
	Warnings      []string           // what its administrator should hear of it
	SealedFor     *deployment.Target // what its unified kernel image boots, once that is known to be it
	// Measured are the objects of sparse files, with their sizes, of a system that was composed
	// without putting them into the repository.
	Measured map[digest.Digest]int64
}

// Compose merges the layers of an image and says what system they make. With expand,
// the contents of sparse files are put into the repository. An image that cannot boot
// is an error.
func Compose(ctx context.Context, img *oci.Image, repo *repo.Repository, expand bool) (*System, error) {
	s := &System{repo: repo, expand: expand, image: img, name: img.PinnedName(), Form: canonical.Variant{Version: repo.FormatVersion()}}
	m := layer.Merger{Expand: expand}
	if err := s.merge(ctx, &m); err != nil {
		return nil, err
	}
	s.Tree, s.late, s.Measured = m.Root, m.Late, m.Measured
	var err error
	if s.Kernel, err = CheckTree(s.Tree); err != nil {
		return nil, err
	}
	if s.Kernel.UKI != nil {
		if err := s.readUKI(); err != nil {
			return nil, fmt.Errorf("image cannot boot: %w", err)
		}
	}
	return s, s.describe(ctx)
}

// merge merges the layers of the image.
func (s *System) merge(ctx context.Context, m *layer.Merger) error {
	for _, l := range s.image.Layers {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := m.ApplyStored(ctx, s.repo, l.DiffID); err != nil {
			return fmt.Errorf("cannot merge layer %s: %w", l.Digest, err)
		}
	}
	if m.Root == nil {
		return errors.New("image has no layers")
	}
	return nil
}

// Title returns what people call the system.
func (s *System) Title() string { return bootentry.Title(s.Name, s.Version) }

// describe reads the image's name, version, mounts and kernel arguments.
func (s *System) describe(ctx context.Context) error {
	text, err := bounded.ReadFile(s.FS(), "usr/lib/os-release", limits.Text)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	s.Name, s.Version = titles(ParseRelease(text))
	if label := printable.Title(s.image.Config.Config.Labels["org.opencontainers.image.version"]); label != "" {
		s.Version = label
	}
	if s.Mounts, err = s.mounts(ctx); err != nil {
		return err
	}
	s.Kargs, err = kargs.Load(s.FS(), s.image.Config.Architecture)
	return err
}

// mounts returns how the system's root will be mounted: as its initramfs does it,
// which may have been built with another configuration than the image has now.
func (s *System) mounts(ctx context.Context) (rootconfig.Config, error) {
	files, err := s.inInitramfs(ctx, rootconfig.Names()...)
	if exceeded := (*limits.Error)(nil); ctx.Err() != nil || errors.As(err, &exceeded) {
		return rootconfig.Config{}, err
	}
	if cut := (*initramfs.TruncatedError)(nil); errors.As(err, &cut) {
		return rootconfig.Config{}, fmt.Errorf("image cannot boot: %w", err)
	}
	opaque := (*initramfs.OpaqueError)(nil)
	if err := checkAPIDirs(s.Tree, err == nil || errors.As(err, &opaque)); err != nil {
		return rootconfig.Config{}, fmt.Errorf("image cannot boot: %w", err)
	}
	if opaque != nil {
		s.warn("cannot look into the initramfs, so it may have no program that mounts the root: " + opaque.Error())
	}
	if err != nil {
		// Another compressor, or none of our business: what was put into it
		// comes from the image.
		return rootconfig.OfImage(s.FS())
	}
	c, err := rootconfig.OfInitramfs(files)
	if errors.Is(err, rootconfig.ErrNoProgram) {
		err = fmt.Errorf("image cannot boot: %w", err)
	}
	return c, err
}

// warn adds a warning, once: an image may be described twice.
func (s *System) warn(text string) {
	if !slices.Contains(s.Warnings, text) {
		s.Warnings = append(s.Warnings, text)
	}
}

// inInitramfs returns the files of these names in the initramfs.
func (s *System) inInitramfs(ctx context.Context, names ...string) (map[string][]byte, error) {
	node := s.Kernel.Initrd
	if s.Kernel.UKI != nil {
		node = s.Kernel.UKI.Node
	}
	f, err := s.Open(node)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if s.Kernel.UKI == nil {
		return initramfs.Find(ctx, f, names...)
	}
	image, err := uki.Read(f)
	if err != nil {
		return nil, err
	}
	if image.Initrd() == nil {
		return nil, errors.New("no initramfs")
	}
	return initramfs.Find(ctx, image.Initrd(), names...)
}

// Transform gives the tree the form in which it boots. An image that is sealed
// says itself which one that is.
func (s *System) Transform(ctx context.Context) error {
	if s.Kernel.UKI != nil {
		return s.transformSealed(ctx)
	}
	if err := tree.TransformForOCI(s.Tree, false); err != nil {
		return err
	}
	labeler, err := selabel.LoadTree(ctx, s.Tree, s.Content)
	if err != nil {
		return fmt.Errorf("cannot read the image's SELinux policy: %w", err)
	}
	if err := tree.TransformForBoot(s.Tree, labeler); err != nil {
		return err
	}
	return labeler.Err()
}

// Build writes the composefs image of the system and returns its deployment id.
func (s *System) Build(ctx context.Context) (deployment.ID, error) {
	if err := s.Transform(ctx); err != nil {
		return "", err
	}
	d, err := s.repo.PutImage(func(w io.Writer) error { return erofs.Write(ctx, w, s.Tree, s.format()) })
	if err != nil {
		return "", fmt.Errorf("cannot write composefs image: %w", err)
	}
	return deployment.ID(d.String()), nil
}

// Measure transforms the system, and returns the deployment id that Build would, with the
// size of the composefs image. It writes nothing.
func (s *System) Measure(ctx context.Context) (id deployment.ID, size int64, err error) {
	if err := s.Transform(ctx); err != nil {
		return "", 0, err
	}
	d, size, err := erofs.Measure(ctx, s.Tree, s.format())
	return deployment.ID(d.String()), size, err
}

func (s *System) format() erofs.Options {
	return erofs.Options{Version: s.Form.Version, Algorithm: s.repo.Algorithm()}
}

// FS returns the image's files to read.
func (s *System) FS() fs.FS {
	return tree.FS(s.Tree, func(n *tree.Node) (io.ReadCloser, error) { return s.Open(n) })
}

// A contentReader reads the content of a regular file.
type contentReader interface {
	io.ReadSeekCloser
	io.ReaderAt
}

// Open returns the content of a regular file.
func (s *System) Open(n *tree.Node) (contentReader, error) {
	if n.Digest.IsZero() {
		return nopCloser{bytes.NewReader(n.Inline)}, nil
	}
	return s.repo.OpenObject(n.Digest)
}

type nopCloser struct{ *bytes.Reader }

func (nopCloser) Close() error { return nil }

// OpenPath returns the content of the regular file at a path.
func (s *System) OpenPath(path string) (io.ReadCloser, error) {
	n := s.Tree.Lookup(path)
	if n == nil || !n.IsRegular() {
		return nil, fmt.Errorf("/%s in the image: %w", path, fs.ErrNotExist)
	}
	return s.Open(n)
}

// Content returns what is in a regular file.
func (s *System) Content(n *tree.Node) ([]byte, error) {
	return selabel.Content(n, s.Open)
}

// ReadPath returns what is in the regular file of the image at a path.
func (s *System) ReadPath(path string) ([]byte, error) {
	r, err := s.OpenPath(path)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return bounded.ReadAll(r, limits.Text)
}

// ErrSealedDeployment reports that a deployment has its kernel in a unified kernel image, which
// the form of an image that boots does not have.
var ErrSealedDeployment = errors.New("its kernel is in a unified kernel image, which is only looked at while the image is applied")

// Deployed returns the system of a deployment, whose image in the repository has the tree, with
// its kernel and its mounts. The error can be ErrSealedDeployment.
func Deployed(ctx context.Context, root *tree.Node, from *repo.Repository) (*System, error) {
	s := Of(root, from)
	var err error
	if s.Kernel, err = FindKernel(root); err != nil {
		return nil, fmt.Errorf("%w (%w)", ErrSealedDeployment, err)
	}
	s.Mounts, err = s.mounts(ctx)
	return s, err
}

// Of returns the system of a deployment, whose image in the repository has the tree. Only
// its files can be asked for.
func Of(root *tree.Node, from *repo.Repository) *System { return &System{Tree: root, repo: from} }
