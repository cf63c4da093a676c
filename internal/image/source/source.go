// Package source opens everything that an administrator can name as an image, and hides
// where it is: a composefs image or a dump in a file, an image in the repository, a
// directory, or a container image in a registry, which is read without storing it.
package source

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/canonical"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/erofs"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/repo"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/scan"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/selabel"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/verity"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
	"github.com/sysupdate-image/sysupdate-image/internal/image/oci"
)

// A Kind says what an image is made of.
type Kind string

// The kinds of images.
const (
	File       Kind = "composefs image"
	Repository Kind = "image of the repository"
	Dump       Kind = "dump"
	Directory  Kind = "directory"
	Container  Kind = "container image"
)

// Options say where to look, and how.
type Options struct {
	Repository *repo.Repository // nil if there is none to look in
	Algorithm  digest.Algorithm // of digests that are computed; 0 for what fits image and repository
	Source     oci.Options      // how to read a container image

	InOrder bool // merge the layers of a container image as composefs-rs does, see layer.Merger

	// Progress, if not nil, is called with the number of bytes of a container
	// image that have come since its last call, as by oci.OpenLayer.
	Progress func(int64)

	// Mounted is told the mount points below a directory, as by scan.Scan.
	Mounted func(path string)

	// Shallow and NoMounts are for a directory, as for scan.Scan.
	Shallow, NoMounts bool

	// Contents are further files of a container image whose contents will be at hand, in
	// the terms of path.Match.
	Contents []string

	// AfterLayer, if not nil, is told each layer of a container image and the tree that it
	// makes with those before it, which is read during the call alone.
	AfterLayer func(l oci.Layer, root *tree.Node)
}

// fallback returns the algorithm of an image that has no digests yet.
func (o Options) fallback() digest.Algorithm {
	if o.Repository != nil {
		return o.Repository.Algorithm()
	}
	return digest.SHA512
}

// An Image is an image that was opened.
type Image struct {
	Name string
	Kind Kind
	Root *tree.Node // as it is there, see Raw

	Algorithm digest.Algorithm // of its digests

	ID      digest.Digest // of a composefs image
	Version int           // of a composefs image: its format version
	Size    int64         // of a composefs image, in bytes

	OCI  *oci.Image // of a container image: what manifest and configuration say
	Late []string   // of a container image: whiteouts for which InOrder makes another tree

	open  func(*tree.Node) (io.ReadCloser, error)
	close []func() error
	opts  Options // it was opened with
}

// ErrNoContent says that the content of a file is not at hand.
var ErrNoContent = errors.New("its content is not available")

// Open opens the image called name. That is a file or directory if it exists;
// else the id of an image of the repository, or how one begins in four
// characters or more; else a reference to a container image, see
// oci.ParseReference. A word without "/" and ":" is no reference: most likely it
// is mistyped, and no registry should be asked for it. The caller closes the
// image.
func Open(ctx context.Context, name string, opts Options) (*Image, error) {
	img := &Image{Name: name, opts: opts}
	if err := img.find(ctx, name, opts); err != nil {
		return nil, errors.Join(err, img.Close())
	}
	return img, nil
}

func (img *Image) find(ctx context.Context, name string, opts Options) error {
	if name == "" {
		return errors.New("IMAGE is empty: want a file, a directory, an id or a reference")
	}
	info, err := os.Stat(name)
	switch {
	case err == nil && info.IsDir():
		return img.openDirectory(ctx, name, opts)
	case err == nil:
		return img.openFile(name, opts)
	case isPath(name):
		return err
	}
	if opts.Repository != nil {
		id, err := findID(opts.Repository, name)
		if err != nil {
			return err
		}
		if id != "" {
			return img.openStored(id, opts)
		}
	}
	if !strings.ContainsAny(name, "/:") {
		return notHere(name, opts)
	}
	err = img.openContainer(ctx, name, opts)
	if err != nil && !strings.Contains(name, "/") && !oci.HasTransport(name) {
		return fmt.Errorf("no file or directory %s, and as a container image: %w", name, err)
	}
	return err
}

// notHere returns the error for a word that names no image, with its full name in a
// registry.
func notHere(word string, opts Options) error {
	what := "no image in the repository has an id that begins with it"
	if opts.Repository == nil {
		what = "there is no repository with an image of that id"
	}
	return fmt.Errorf("no file or directory %s, and %s; a container image is docker.io/library/%s", word, what, word)
}

// isPath reports whether name is meant to be one in the file system.
func isPath(name string) bool {
	return strings.HasPrefix(name, "/") || strings.HasPrefix(name, "./") || strings.HasPrefix(name, "../")
}

// minID is how many characters of an id must be given.
const minID = 4

// findID returns the id of the only image that begins so, "" if there is none
// and name may be something else.
func findID(repo *repo.Repository, name string) (string, error) {
	if len(name) < minID || strings.Trim(name, "0123456789abcdef") != "" {
		return "", nil
	}
	id, err := repo.FindImage(name)
	if _, complete := digest.Parse(name); complete != nil && errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return id, err
}

func (img *Image) openDirectory(ctx context.Context, name string, opts Options) error {
	dir, err := os.Open(name)
	if err != nil {
		return err
	}
	img.close = append(img.close, dir.Close)
	img.Algorithm = cmp.Or(opts.Algorithm, opts.fallback())
	tree, err := scan.Scan(ctx, dir, scan.Options{
		Algorithm: img.Algorithm, Mounted: opts.Mounted, Shallow: opts.Shallow, NoMounts: opts.NoMounts,
	})
	if err != nil {
		return err
	}
	img.Kind, img.Root, img.open = Directory, tree.Root, tree.Open
	return nil
}

// openFile opens a composefs image or a dump.
func (img *Image) openFile(name string, opts Options) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	if img.Version, err = erofs.VersionOf(f); err == nil {
		img.Kind = File
		return img.readImage(f, opts)
	}
	// Not every dump comes from a file that can be read from its beginning again.
	root, err := tree.ParseDump(f)
	if err != nil {
		return fmt.Errorf("%s is neither a composefs image nor a dump: %w", name, err)
	}
	img.Kind, img.Root, img.open = Dump, root, objectOpener(opts.Repository)
	img.Algorithm = cmp.Or(opts.Algorithm, AlgorithmOf(root), opts.fallback())
	return nil
}

func (img *Image) openStored(id string, opts Options) error {
	f, err := opts.Repository.OpenImage(id)
	if err != nil {
		return err
	}
	defer f.Close()
	opts.Algorithm = opts.Repository.Algorithm()
	img.Name, img.Kind = id, Repository
	if img.Version, err = erofs.VersionOf(f); err != nil {
		return err
	}
	if err := img.readImage(f, opts); err != nil {
		return err
	}
	if img.ID.String() != id {
		return fmt.Errorf("image %s: %w: its fs-verity digest is %s", id, repo.ErrDamaged, img.ID)
	}
	return nil
}

func (img *Image) readImage(f *os.File, opts Options) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	img.Size = info.Size()
	if img.Root, err = erofs.Read(f, img.Size); err != nil {
		return fmt.Errorf("%s: %w", img.Name, err)
	}
	img.open = objectOpener(opts.Repository)
	img.Algorithm = cmp.Or(opts.Algorithm, AlgorithmOf(img.Root), opts.fallback())
	img.ID, _, err = verity.SumReader(img.Algorithm, io.NewSectionReader(f, 0, img.Size))
	return err
}

// objectOpener opens contents by their digests in a repository, if there is one.
func objectOpener(repo *repo.Repository) func(*tree.Node) (io.ReadCloser, error) {
	return func(n *tree.Node) (io.ReadCloser, error) {
		if repo == nil || n.Digest.IsZero() {
			return nil, ErrNoContent
		}
		return repo.OpenObject(n.Digest)
	}
}

// AlgorithmOf returns the algorithm of the digests in a tree, 0 if it has none.
func AlgorithmOf(root *tree.Node) (alg digest.Algorithm) {
	root.Walk(func(_ string, n *tree.Node) {
		if alg == 0 {
			alg = n.Digest.Algorithm()
		}
	})
	return alg
}

// InOrder opens a container image once more, its layers merged as composefs-rs does
// it. The caller closes both.
func (img *Image) InOrder(ctx context.Context) (*Image, error) {
	opts := img.opts
	opts.InOrder = true
	return Open(ctx, img.Name, opts)
}

// Close lets go of the image.
func (img *Image) Close() error {
	var errs []error
	for _, c := range slices.Backward(img.close) {
		errs = append(errs, c())
	}
	img.close = nil
	return errors.Join(errs...)
}

// Raw reports whether Root is what layers or a directory have made, and not in a
// canonical form.
func (img *Image) Raw() bool { return img.Kind == Directory || img.Kind == Container }

// Canonical brings the tree of the image into a form, if it is raw, and returns
// Root. There are no two trees then, which take much memory: it is called once.
func (img *Image) Canonical(ctx context.Context, form canonical.Form) (*tree.Node, error) {
	if !img.Raw() {
		return img.Root, nil
	}
	if err := canonical.Transform(ctx, img.Root, img.Content, form); err != nil {
		return nil, fmt.Errorf("%s: %w", img.Name, err)
	}
	return img.Root, nil
}

// Open opens the content of a regular file of the image, if that is at hand: of
// a container image those that matter to a system are.
func (img *Image) Open(n *tree.Node) (io.ReadCloser, error) {
	if n.Size == uint64(len(n.Inline)) {
		return io.NopCloser(bytes.NewReader(n.Inline)), nil
	}
	return img.open(n)
}

// Content returns what Open opens.
func (img *Image) Content(n *tree.Node) ([]byte, error) {
	return selabel.Content(n, img.Open)
}

// FS returns the files of the image to read.
func (img *Image) FS() fs.FS { return tree.FS(img.Root, img.Open) }
