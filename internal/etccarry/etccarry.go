// Package etccarry carries /etc from one deployment to another: it reads what
// the one has changed, merges it into the defaults of the other, and writes the
// result where the other will find it.
package etccarry

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs"
	"github.com/sysupdate-image/sysupdate-image/internal/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/digest"
	"github.com/sysupdate-image/sysupdate-image/internal/durable"
	"github.com/sysupdate-image/sysupdate-image/internal/erofs"
	"github.com/sysupdate-image/sysupdate-image/internal/etcmerge"
)

// A Side is one of the two deployments, and how it has its /etc: one of the
// deployment.Etc constants.
type Side struct {
	ID  deployment.ID
	Etc string
}

// HasLocal says whether the deployment has local changes that last.
func (s Side) HasLocal() bool {
	return s.Etc == deployment.EtcOverlay || s.Etc == deployment.EtcBind
}

// A Carrier has what is needed to carry /etc from one deployment to another.
type Carrier struct {
	Sysroot *os.Root
	// OpenObject opens an object of the repository, whose content is what its
	// name promises.
	OpenObject func(digest.Digest) (*os.File, error)
	// Warn is told what an administrator should look at.
	Warn func(text string)
}

// Carry gives to the /etc that follows from that of from, and returns how many
// local changes there are. What was there before is replaced at one stroke, so
// it may be done again.
func (c Carrier) Carry(from, to Side) (changes int, err error) {
	new, err := c.pristine(to.ID)
	if err != nil {
		return 0, err
	}
	if !from.HasLocal() {
		return 0, c.write(to, new, new, c.open)
	}
	dir, err := c.localDir(from)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, c.write(to, new, new, c.open) // it has never been booted
	}
	if err != nil {
		return 0, fmt.Errorf("cannot read local changes to /etc: %w", err)
	}
	defer dir.Close()
	open := etcmerge.LocalOpener(dir, c.open)
	merged, changes, err := c.rebase(from, dir, new, open)
	if err != nil {
		return 0, err
	}
	return changes, c.write(to, merged, new, open)
}

// rebase returns the tree new with the local changes in dir.
func (c Carrier) rebase(from Side, dir *os.File, new *composefs.Node, open etcmerge.Opener) (*composefs.Node, int, error) {
	base, err := c.pristine(from.ID)
	if err != nil {
		return nil, 0, err
	}
	local, err := c.local(from, dir, base)
	if err != nil {
		return nil, 0, fmt.Errorf("cannot read local changes to /etc: %w", err)
	}
	// Conflicts were refused when the deployment was staged. There is nobody to
	// ask now, and what is local cannot be had again.
	result, err := etcmerge.Rebase(base, local, new, etcmerge.Options{Conflicts: etcmerge.Keep, Open: open})
	if err != nil {
		return nil, 0, fmt.Errorf("cannot merge /etc: %w", err)
	}
	for _, conflict := range result.Conflicts {
		c.Warn(fmt.Sprintf("/etc%s: %s: kept what is local", conflict.Path, conflict.Reason))
	}
	for _, text := range result.Warnings {
		c.Warn(text)
	}
	return result.Tree, len(result.Changes), nil
}

// localDir opens the directory that holds the local changes. It is seen below
// the physical root, where nothing is mounted over any of it.
func (c Carrier) localDir(from Side) (*os.File, error) {
	if from.Etc == deployment.EtcBind {
		return c.Sysroot.Open(from.ID.EtcDir())
	}
	return c.Sysroot.Open(from.ID.EtcUpper())
}

func (c Carrier) local(from Side, dir *os.File, base *composefs.Node) (*composefs.Node, error) {
	id, err := from.ID.Digest()
	if err != nil {
		return nil, err
	}
	if from.Etc == deployment.EtcBind {
		return etcmerge.ReadDir(dir, id.Algorithm(), nil)
	}
	return etcmerge.ReadUpper(dir, base, id.Algorithm())
}

func (c Carrier) write(to Side, merged, new *composefs.Node, open etcmerge.Opener) error {
	changes := durable.OS(c.Sysroot)
	if to.Etc == deployment.EtcBind {
		if err := durable.MkdirAll(changes, to.ID.Dir(), 0o755); err != nil {
			return err
		}
		return etcmerge.WriteDir(c.Sysroot, to.ID.EtcDir(), merged, open)
	}
	if err := durable.MkdirAll(changes, to.ID.EtcDir(), 0o755); err != nil {
		return err
	}
	return etcmerge.WriteUpper(c.Sysroot, to.ID.EtcUpper(), merged, new, open)
}

// pristine returns /etc as the deployment's image has it.
func (c Carrier) pristine(id deployment.ID) (*composefs.Node, error) {
	tree, err := c.readImage(id)
	if err != nil {
		return nil, fmt.Errorf("cannot read image of deployment %s: %w", id.Short(), err)
	}
	etc := tree.Lookup("etc")
	if etc == nil || !etc.IsDir() {
		return nil, fmt.Errorf("the image of deployment %s has no directory /etc", id.Short())
	}
	return etc, nil
}

func (c Carrier) readImage(id deployment.ID) (*composefs.Node, error) {
	d, err := id.Digest()
	if err != nil {
		return nil, err
	}
	image, err := c.OpenObject(d)
	if err != nil {
		return nil, err
	}
	defer image.Close()
	info, err := image.Stat()
	if err != nil {
		return nil, err
	}
	return erofs.Read(image, info.Size())
}

// open opens the content of a file of an image.
func (c Carrier) open(n *composefs.Node) (io.ReadCloser, error) {
	if n.Digest.IsZero() {
		return nil, fmt.Errorf("file with payload %q has no digest", n.Payload)
	}
	return c.OpenObject(n.Digest)
}
