package edit

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/repo"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/etc/merge"
	"github.com/sysupdate-image/sysupdate-image/internal/format/cancel"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/sysroot"
)

// temp is the name of a file that is being written, in the directory that it
// will be in. What a crash leaves of it is removed by the next reset there.
const temp = ".sysupdate-image-reset" + durable.TempSuffix

// Apply carries out the steps. On the running machine it replaces file by file through
// the mount, each atomically, so that programs see the change; on another machine it
// replaces all at once. After a crash some steps may be done. No step is half done, except
// those that set owner, mode and attributes.
func (e *Etc) Apply(ctx context.Context, steps []Step) error {
	if len(steps) == 0 {
		return nil
	}
	if e.live == nil {
		return e.applyToTree(ctx, steps)
	}
	for _, s := range steps {
		if err := cancel.Err(ctx); err != nil {
			return err
		}
		if err := e.applyLive(ctx, s); err != nil {
			return fmt.Errorf("cannot %s: %w", s, err)
		}
	}
	dir, err := e.live.Open(".")
	if err != nil {
		return err
	}
	defer dir.Close()
	return sys.Syncfs(dir)
}

// applyLive carries out a step in the mounted /etc.
func (e *Etc) applyLive(ctx context.Context, s Step) error {
	rel := below(s.Path)
	if s.Do == Remove {
		return removeAll(ctx, e.live, rel)
	}
	parent, err := e.live.OpenRoot(path.Dir(rel))
	if err != nil {
		return err
	}
	defer parent.Close()
	dir, err := parent.Open(".")
	if err != nil {
		return err
	}
	defer dir.Close()
	name := path.Base(rel)
	switch s.Do {
	case Metadata:
		return merge.SetMetadata(dir, name, s.local, s.image)
	case Make:
		err := merge.WriteNode(ctx, dir, name, s.image, e.open)
		if errors.Is(err, fs.ErrExist) {
			return nil // by an earlier step
		}
		return err
	}
	return e.replace(ctx, parent, dir, name, s.image)
}

// replace makes name in a directory, which is given twice, the file n.
func (e *Etc) replace(ctx context.Context, parent *os.Root, dir *os.File, name string, n *tree.Node) error {
	if err := removeAll(ctx, parent, temp); err != nil {
		return err
	}
	err := merge.WriteNode(ctx, dir, temp, n, e.open)
	if err == nil {
		err = sys.Syncfs(dir)
	}
	if err == nil {
		err = rename(parent, dir, name, n.IsDir())
	}
	// It is not there any more, or is what was there before.
	return errors.Join(err, removeAll(context.WithoutCancel(ctx), parent, temp))
}

// removeAll removes a file, or a directory of any depth, until ctx ends. Nothing is synced.
func removeAll(ctx context.Context, root *os.Root, name string) error {
	return durable.RemoveAll(durable.Until(ctx, durable.Unsynced(durable.OS(root))), name)
}

// rename gives temp its name. rename(2) does not put a directory in the place of
// a file, nor the other way round.
func rename(parent *os.Root, dir *os.File, name string, isDir bool) error {
	old, err := parent.Lstat(name)
	var flags uint
	switch {
	case errors.Is(err, fs.ErrNotExist):
		flags = sys.RenameNoReplace
	case err != nil:
		return err
	case isDir || old.IsDir():
		flags = sys.RenameExchange
	}
	return sys.Renameat2(dir, temp, dir, name, flags)
}

// applyToTree carries out the steps on a machine that does not run, by writing
// its local changes anew. It refuses where not all of them were read.
func (e *Etc) applyToTree(ctx context.Context, steps []Step) error {
	tree := e.Local
	for _, s := range steps {
		n := s.image
		if s.Do == Metadata && s.local.IsDir() {
			n = s.local.Clone()
			n.CopyMetadata(s.image)
			// The tree has entries that were added since it was read.
			n = withEntries(n, tree.Lookup(below(s.Path)))
		}
		if s.Do == Make && tree.Lookup(below(s.Path)) != nil {
			continue // an earlier step has made it
		}
		tree = with(tree, strings.Split(below(s.Path), "/"), n)
	}
	if left := merge.SkippedDirs(tree); len(left) > 0 {
		return notRead(path.Join("/etc", left[0]))
	}
	unlock, err := e.lock()
	if err != nil {
		return err
	}
	return errors.Join(e.carrier.Write(ctx, e.Side, tree, e.Base, e.open), unlock())
}

// lock keeps others from changing the state of deployments, and from removing anything
// from the repository. An image may be fetched meanwhile.
func (e *Etc) lock() (unlock func() error, err error) {
	shared, err := e.repo.Lock(false)
	if err != nil {
		return nil, err
	}
	state, err := sysroot.TryLock(e.carrier.Sysroot)
	if err == nil && state == nil {
		err = fmt.Errorf("%w: try again when it is done", repo.ErrBusy)
	}
	if err != nil {
		return nil, errors.Join(err, shared())
	}
	return func() error { return errors.Join(state.Close(), shared()) }, nil
}

// withEntries gives n the entries of from.
func withEntries(n, from *tree.Node) *tree.Node {
	n.Clear()
	for _, entry := range from.Entries() {
		n.Set(entry.Name, entry.Node)
	}
	return n
}

// with returns a copy of the tree dir in which n is at a path, or nothing if n is
// nil.
func with(dir *tree.Node, names []string, n *tree.Node) *tree.Node {
	out := dir.Clone()
	switch {
	case len(names) > 1:
		out.Set(names[0], with(dir.Entry(names[0]), names[1:], n))
	case n == nil:
		out.Remove(names[0])
	default:
		out.Set(names[0], n)
	}
	return out
}
