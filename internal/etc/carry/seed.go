package carry

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/erofs"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/etc/merge"
)

// A File is a local file in /etc that a machine has from its first boot on.
type File struct {
	Path string // relative to /etc
	Perm uint32
	Data []byte
}

// ErrNoLocal says that a deployment keeps no local changes to /etc.
var ErrNoLocal = errors.New("the image keeps no local changes there")

// Seed adds files, which are root's, to the local changes of a deployment. What has their
// names is replaced. Like Carry it may be repeated.
func (c Carrier) Seed(ctx context.Context, to Side, files []File) error {
	if !to.HasLocal() {
		return ErrNoLocal
	}
	pristine, err := c.Pristine(to.ID, erofs.All)
	if err != nil {
		return err
	}
	local, open, end, err := c.current(ctx, to)
	if err != nil {
		return err
	}
	defer end()
	for _, f := range files {
		if err := f.addTo(local); err != nil {
			return fmt.Errorf("cannot write /etc/%s: %w", f.Path, err)
		}
	}
	return c.Write(ctx, to, local, pristine, open)
}

// current returns the /etc of a deployment that does not run, to change it. The caller calls
// end once it has read what open opens.
func (c Carrier) current(ctx context.Context, side Side) (etc *tree.Node, open merge.Opener, end func() error, err error) {
	dir, err := c.LocalDir(side)
	if errors.Is(err, fs.ErrNotExist) {
		etc, err = c.Pristine(side.ID, erofs.All)
		return etc, c.OpenContent, func() error { return nil }, err
	}
	if err != nil {
		return nil, nil, nil, err
	}
	if _, etc, _, err = c.Local(ctx, side, dir, true); err != nil {
		return nil, nil, nil, errors.Join(err, dir.Close())
	}
	return etc, merge.LocalOpener(dir, c.OpenContent), dir.Close, nil
}

// addTo enters the file into a tree, with the directories that lead to it. New nodes have the
// SELinux label of their directory, as those that the kernel makes.
func (f File) addTo(etc *tree.Node) error {
	dir := etc
	names := strings.Split(f.Path, "/")
	for _, name := range names[:len(names)-1] {
		next := dir.Entry(name)
		if next == nil {
			next = newNode(dir, tree.TypeDir|0o755)
			dir.Set(name, next)
		}
		if !next.IsDir() {
			return fmt.Errorf("/etc/%s is not a directory", name)
		}
		dir = next
	}
	n := newNode(dir, tree.TypeRegular|f.Perm)
	n.Inline, n.Size = f.Data, uint64(len(f.Data))
	dir.Set(names[len(names)-1], n)
	return nil
}

func newNode(dir *tree.Node, mode uint32) *tree.Node {
	n := &tree.Node{Mode: mode, Mtime: dir.Mtime, Nlink: 1}
	n.SetLabel(dir.Label())
	return n
}
