package imagesource

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs"
	"github.com/sysupdate-image/sysupdate-image/internal/layer"
	"github.com/sysupdate-image/sysupdate-image/internal/oci"
	"github.com/sysupdate-image/sysupdate-image/internal/store"
)

// openContainer reads the layers of a container image, those that are in the
// repository from there.
func (img *Image) openContainer(ctx context.Context, name string, opts Options) error {
	ref, err := oci.ParseReference(name)
	if err != nil {
		return err
	}
	if alg := opts.fallback(); opts.Algorithm != 0 && opts.Algorithm != alg {
		opts.Repository = nil // its layers have other digests
	} else {
		opts.Algorithm = alg
	}
	img.Algorithm = opts.Algorithm
	if img.OCI, err = oci.Open(ctx, ref, opts.Source); err != nil {
		return err
	}
	img.close = append(img.close, img.OCI.Close)
	img.Name, img.Kind = ref.String(), Container
	k := keeper{files: make(map[string]*kept)}
	for _, l := range img.OCI.Layers {
		if img.Root, err = k.merge(ctx, img.OCI, l, img.Root, opts); err != nil {
			return fmt.Errorf("cannot read layer %s: %w", l.Digest, err)
		}
	}
	if img.Root == nil {
		return errors.New("image has no layers")
	}
	img.Root.CountLinks()
	img.open = k.opener(opts.Repository)
	return nil
}

// merge merges a layer into a tree.
func (k *keeper) merge(ctx context.Context, image *oci.Image, l oci.Layer, root *composefs.Node, opts Options) (*composefs.Node, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if repo := opts.Repository; repo != nil && repo.HasStream(layer.StreamName(l.DiffID)) {
		return layer.ApplyStored(ctx, root, repo, l.DiffID)
	}
	tar, err := image.OpenLayer(ctx, l, opts.Progress)
	if err != nil {
		return nil, err
	}
	defer tar.Close()
	return layer.Measure(ctx, root, tar, opts.Algorithm, k.keep)
}

// maxKept bounds the contents of an image that are kept in memory, in bytes.
const maxKept = 64 << 20

// A keeper keeps the few contents of an image by which a system is described.
type keeper struct {
	files map[string]*kept // by path: a file in a higher layer replaces one in a lower
	size  int64
}

type kept struct {
	node *composefs.Node
	data bytes.Buffer
}

// keepPatterns are the files that are kept, in the terms of path.Match.
var keepPatterns = []string{
	"/etc/os-release", "/usr/lib/os-release", "/usr/lib/bootc/kargs.d/*",
	"/etc/selinux/config", "/etc/selinux/*/contexts/files/file_contexts*",
	// Lists of packages; pacman has them in the names of directories.
	"/var/lib/dpkg/status", "/var/lib/dpkg/status.d/*", "/usr/lib/sysimage/dpkg/status",
	"/usr/lib/sysimage/rpm/rpmdb.sqlite", "/usr/share/rpm/rpmdb.sqlite", "/var/lib/rpm/rpmdb.sqlite",
}

// keep implements the last argument of layer.Measure.
func (k *keeper) keep(name string, n *composefs.Node) io.Writer {
	for _, pattern := range keepPatterns {
		if ok, err := path.Match(pattern, name); err != nil || !ok {
			continue
		}
		if old := k.files[name]; old != nil {
			k.size -= int64(old.node.Size)
		}
		if k.size += int64(n.Size); k.size > maxKept || strings.HasSuffix(name, ".bin") {
			k.size -= int64(n.Size)
			delete(k.files, name)
			return nil
		}
		k.files[name] = &kept{node: n}
		return &k.files[name].data
	}
	return nil
}

// opener returns a function that opens what was kept, and what the repository
// has.
func (k *keeper) opener(repo *store.Repository) func(*composefs.Node) (io.ReadCloser, error) {
	contents := make(map[*composefs.Node][]byte)
	for _, f := range k.files {
		contents[f.node] = f.data.Bytes()
	}
	fromRepository := objectOpener(repo)
	return func(n *composefs.Node) (io.ReadCloser, error) {
		if data, ok := contents[n]; ok {
			return io.NopCloser(bytes.NewReader(data)), nil
		}
		return fromRepository(n)
	}
}
