package update

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/etc/merge"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/image/rootconfig"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
)

// makeVar makes the directory of /var that all deployments share, before the
// machine's first one. It has owner, mode and attributes of the image's /var: they
// are those of /var on the running machine, also where it is an overlay of both.
func (m *Machine) makeVar(ctx context.Context, c candidate) error {
	if m.newVar != nil {
		return makeVarIn(ctx, m.newVar, "var", c)
	}
	if v, err := m.varPartition(); v != nil || err != nil {
		return err // it was made with the first deployment
	}
	switch _, err := m.Root.Lstat(deployment.SharedVar); {
	case err == nil:
		return m.readyVar(c)
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if err := durable.MkdirAll(m.Changes, deployment.VarParent, 0o755); err != nil {
		return err
	}
	return makeVarIn(ctx, m.Root, deployment.SharedVar, c)
}

// makeVarIn makes the directory of /var with a name in root, unless it is there.
func makeVarIn(ctx context.Context, root *os.Root, name string, c candidate) error {
	if _, err := root.Lstat(name); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	image := c.Tree.Entry("var")
	if c.Mounts.Var == rootconfig.Bind { // as bootc has it: with what the image has there
		open := func(n *tree.Node) (io.ReadCloser, error) { return c.Open(n) }
		return merge.WriteDir(ctx, root, name, image, open)
	}
	bare := image.Clone()
	bare.Clear()
	err := merge.WriteUpper(ctx, root, name, bare, bare, nil)
	if errors.Is(err, fs.ErrPermission) {
		return nil // prepare-root makes it like the image's when the machine boots
	}
	return err
}

// readyVar gives a /var that existed before the machine's first deployment, such as an
// empty separate file system, the metadata of the image's /var.
func (m *Machine) readyVar(c candidate) error {
	s, err := m.readState()
	if err != nil || len(s.Dirs) > 0 {
		return err
	}
	dir, err := m.Root.Open(deployment.SharedVar)
	if err != nil {
		return err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(2)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	if err != nil || slices.ContainsFunc(names, func(name string) bool { return name != "lost+found" }) {
		return err
	}
	return merge.SetMetadata(dir, "", &tree.Node{}, c.Tree.Entry("var"))
}
