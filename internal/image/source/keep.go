package source

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/verity"
	"github.com/sysupdate-image/sysupdate-image/internal/image/layer"
	"github.com/sysupdate-image/sysupdate-image/internal/image/oci"
)

// Bounds of the contents of an image that are kept in memory, in bytes: of each row of
// keepPatterns, and of those in Options.
const (
	maxKept     = 64 << 20
	maxContents = 512 << 20
)

// keepPatterns are the files that are kept, in the terms of path.Match: first those
// without which it cannot be said what a system is.
var keepPatterns = [...][]string{
	{
		"etc/os-release", "usr/lib/os-release", "usr/lib/bootc/kargs.d/*",
		"usr/lib/bootc/install/*", "usr/local/lib/bootc/install/*", "etc/bootc/install/*",
		"etc/selinux/config", "etc/selinux/*/contexts/files/file_contexts*",
	},
	{ // Lists of packages; pacman has them in the names of directories.
		"var/lib/dpkg/status", "var/lib/dpkg/status.d/*", "usr/lib/sysimage/dpkg/status",
		"usr/lib/sysimage/rpm/rpmdb.sqlite", "usr/share/rpm/rpmdb.sqlite", "var/lib/rpm/rpmdb.sqlite",
	},
	{ // Accounts, and the sizes of pacman's packages.
		"etc/passwd", "etc/group", "usr/lib/passwd", "usr/lib/group", "etc/sysusers.d/*", "usr/lib/sysusers.d/*",
		"var/lib/pacman/local/*/desc", "usr/lib/sysimage/lib/pacman/local/*/desc", "usr/lib/sysimage/pacman/local/*/desc",
	},
}

// A row is some of the files that are kept.
type row struct {
	patterns []string
	most     uint64 // bytes
}

// rowsOf returns the rows of keepPatterns, and that of Options.
func rowsOf(opts Options) (rows []row) {
	for _, patterns := range keepPatterns {
		rows = append(rows, row{patterns, maxKept})
	}
	return append(rows, row{opts.Contents, maxContents})
}

// rowOf returns the row that has a name, -1 if none has.
func rowOf(rows []row, name string) int {
	for row, r := range rows {
		for _, pattern := range r.patterns {
			if ok, err := path.Match(pattern, name); err == nil && ok && !strings.HasSuffix(name, ".bin") {
				return row
			}
		}
	}
	return -1
}

// A keeper keeps the few contents of an image by which a system is described.
// While layers are read those are kept that have the right name in their archive.
// What is missing then is read from its layer once more: a file is often a hard
// link to one with another name, in ostree's images nearly each.
type keeper struct {
	rows  []row
	files map[string]*kept // by path: a file in a higher layer replaces one in a lower
	sizes []uint64         // of files, by row
	large [][]*tree.Node   // of each layer that is read, in the order of its archive
}

func newKeeper(opts Options) *keeper {
	rows := rowsOf(opts)
	return &keeper{rows: rows, files: make(map[string]*kept), sizes: make([]uint64, len(rows))}
}

type kept struct {
	node *tree.Node
	data bytes.Buffer
}

// keep implements the last argument of layer.Measure.
func (k *keeper) keep(name string, n *tree.Node) io.Writer {
	last := len(k.large) - 1
	k.large[last] = append(k.large[last], n)
	name = strings.TrimPrefix(name, "/")
	row := rowOf(k.rows, name)
	if row < 0 {
		return nil
	}
	if old := k.files[name]; old != nil {
		k.sizes[row] -= old.node.Size
		delete(k.files, name)
	}
	if k.sizes[row]+n.Size > k.rows[row].most {
		return nil
	}
	k.sizes[row] += n.Size
	k.files[name] = &kept{node: n}
	return &k.files[name].data
}

// contents returns the contents that are wanted of the image, which is merged. Those
// that the repository has need not be there.
func (k *keeper) contents(ctx context.Context, img *Image, opts Options) (map[*tree.Node][]byte, error) {
	contents := make(map[*tree.Node][]byte)
	wanted := wantedOf(img.Root, k.rows)
	for _, f := range k.files {
		if wanted[f.node] {
			contents[f.node] = f.data.Bytes()
			delete(wanted, f.node)
		}
	}
	k.files = nil
	for i, l := range img.OCI.Layers {
		missing := make(map[int]*tree.Node)
		for number, n := range k.large[i] {
			if wanted[n] && (opts.Repository == nil || !opts.Repository.HasObject(n.Digest)) {
				missing[number] = n
			}
		}
		if err := readAgain(ctx, img.OCI, l, missing, contents); err != nil {
			return nil, fmt.Errorf("cannot read layer %s again: %w", l.Digest, err)
		}
	}
	return contents, nil
}

// wantedOf returns the large files of a tree to keep.
func wantedOf(root *tree.Node, rows []row) map[*tree.Node]bool {
	wanted := make(map[*tree.Node]bool)
	files := tree.FS(root, func(*tree.Node) (io.ReadCloser, error) { return nil, ErrNoContent })
	for _, row := range rows {
		size := uint64(0)
		for _, pattern := range row.patterns {
			names, _ := fs.Glob(files, pattern) // the patterns are well-formed
			for _, name := range names {
				_, n, err := tree.Resolve(root, name, true)
				if err != nil || n == nil || n.Digest.IsZero() || wanted[n] || rowOf(rows, name) < 0 || size+n.Size > row.most {
					continue
				}
				wanted[n] = true
				size += n.Size
			}
		}
	}
	return wanted
}

// readAgain reads the missing contents of a layer, by the numbers of their files.
func readAgain(ctx context.Context, image *oci.Image, l oci.Layer, missing map[int]*tree.Node, contents map[*tree.Node][]byte) error {
	if len(missing) == 0 {
		return nil
	}
	tar, err := image.OpenLayer(ctx, l, nil)
	if err != nil {
		return err
	}
	defer tar.Close()
	data := make(map[int]*bytes.Buffer)
	want := make(map[int]io.Writer)
	for number := range missing {
		data[number] = new(bytes.Buffer)
		want[number] = data[number]
	}
	if err := layer.Contents(ctx, tar, want); err != nil {
		return err
	}
	for number, n := range missing {
		if got := verity.Sum(n.Digest.Algorithm(), data[number].Bytes()); got != n.Digest {
			return fmt.Errorf("it has changed: a file with the digest %s now has %s", n.Digest, got)
		}
		contents[n] = data[number].Bytes()
	}
	return nil
}
