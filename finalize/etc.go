package finalize

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs"
	"github.com/sysupdate-image/sysupdate-image/internal/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/durable"
	"github.com/sysupdate-image/sysupdate-image/internal/erofs"
	"github.com/sysupdate-image/sysupdate-image/internal/etcmerge"
)

// An etcCarrier writes the /etc of the staged deployment.
type etcCarrier struct {
	Machine
	sysroot *os.Root
	objects objects
	plan    Plan
}

// carry makes the staged deployment's /etc what the plan says. What was there
// before is replaced at one stroke, so it may be done again.
func (c etcCarrier) carry() error {
	base, err := c.pristine(c.plan.Booted)
	if err != nil {
		return err
	}
	new, err := c.pristine(c.plan.Staged)
	if err != nil {
		return err
	}
	merged, open := new, etcmerge.Opener(c.open)
	if c.plan.hasLocal() {
		dir, err := c.localDir()
		if err != nil {
			return fmt.Errorf("cannot read local changes to /etc: %w", err)
		}
		defer dir.Close()
		open = etcmerge.LocalOpener(dir, c.open)
		if merged, err = c.rebase(base, dir, new, open); err != nil {
			return err
		}
	}
	return c.write(merged, new, open)
}

// rebase returns the staged deployment's /etc with the local changes in dir.
func (c etcCarrier) rebase(base *composefs.Node, dir *os.File, new *composefs.Node, open etcmerge.Opener) (*composefs.Node, error) {
	local, err := c.local(dir, base)
	if err != nil {
		return nil, fmt.Errorf("cannot read local changes to /etc: %w", err)
	}
	// Conflicts were refused when the deployment was staged. There is nobody to
	// ask now, and what is local cannot be had again.
	result, err := etcmerge.Rebase(base, local, new, etcmerge.Options{Conflicts: etcmerge.Keep, Open: open})
	if err != nil {
		return nil, fmt.Errorf("cannot merge /etc: %w", err)
	}
	for _, conflict := range result.Conflicts {
		c.logf(logWarning, "/etc%s: %s: kept what is local", conflict.Path, conflict.Reason)
	}
	for _, text := range result.Warnings {
		c.logf(logWarning, "%s", text)
	}
	c.logf(logInfo, "carried %d local changes to /etc over to %s", len(result.Changes), c.plan.Staged.Short())
	return result.Tree, nil
}

// localDir opens the directory that holds the local changes. It is seen below
// the physical root, where nothing is mounted over any of it.
func (c etcCarrier) localDir() (*os.File, error) {
	if c.plan.From == deployment.EtcBind {
		return c.sysroot.Open(c.plan.Booted.EtcDir())
	}
	return c.sysroot.Open(c.plan.Booted.EtcUpper())
}

func (c etcCarrier) local(dir *os.File, base *composefs.Node) (*composefs.Node, error) {
	image, err := c.plan.Booted.Digest()
	if err != nil {
		return nil, err
	}
	if c.plan.From == deployment.EtcBind {
		return etcmerge.ReadDir(dir, image.Algorithm(), nil)
	}
	return etcmerge.ReadUpper(dir, base, image.Algorithm())
}

func (c etcCarrier) write(merged, new *composefs.Node, open etcmerge.Opener) error {
	to := c.plan.Staged
	if err := durable.MkdirAll(durable.OS(c.sysroot), to.Dir(), 0o755); err != nil {
		return err
	}
	if c.plan.To == deployment.EtcBind {
		return etcmerge.WriteDir(c.sysroot, to.EtcDir(), merged, open)
	}
	if err := durable.MkdirAll(durable.OS(c.sysroot), to.EtcDir(), 0o755); err != nil {
		return err
	}
	return etcmerge.WriteUpper(c.sysroot, to.EtcUpper(), merged, new, open)
}

// pristine returns /etc as the deployment's image has it.
func (c etcCarrier) pristine(id deployment.ID) (*composefs.Node, error) {
	d, err := id.Digest()
	if err != nil {
		return nil, err
	}
	image, err := c.objects.open(d) // images/ only has links to objects
	if err != nil {
		return nil, fmt.Errorf("cannot read image of deployment %s: %w", id.Short(), err)
	}
	defer image.Close()
	info, err := image.Stat()
	if err != nil {
		return nil, fmt.Errorf("cannot read image of deployment %s: %w", id.Short(), err)
	}
	tree, err := erofs.Read(image, info.Size())
	if err != nil {
		return nil, fmt.Errorf("cannot read image of deployment %s: %w", id.Short(), err)
	}
	etc := tree.Lookup("etc")
	if etc == nil || !etc.IsDir() {
		return nil, fmt.Errorf("the image of deployment %s has no directory /etc", id.Short())
	}
	return etc, nil
}

// open opens the content of a file of an image.
func (c etcCarrier) open(n *composefs.Node) (io.ReadCloser, error) {
	if n.Digest.IsZero() {
		return nil, fmt.Errorf("file with payload %q has no digest", strings.TrimSpace(n.Payload))
	}
	return c.objects.open(n.Digest)
}
