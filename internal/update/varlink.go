package update

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"syscall"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
)

// bootc's initramfs opens a deployment's link to /var after it has mounted the new
// root over the physical one: a link that climbs above state/, as earlier versions
// of this program made it, then leads into the new root, and the machine does not boot.

// WrongVarLinks returns the deployments below a physical root whose link to the
// shared /var leads there by another way than deployment.VarTarget. A link to
// anywhere else, such as to another stateroot of bootc's, is left alone.
func WrongVarLinks(physical *os.Root) ([]deployment.ID, error) {
	list, err := fs.ReadDir(physical.FS(), deployment.DeployDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot check links to /var: %w", err)
	}
	var wrong []deployment.ID
	for _, d := range list {
		id, err := deployment.ParseID(d.Name())
		if err != nil {
			continue
		}
		target, err := physical.Readlink(id.Var())
		switch {
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.EINVAL), errors.Is(err, syscall.ENOTDIR):
			continue // none, or no link
		case err != nil:
			return nil, fmt.Errorf("cannot check links to /var: %w", err)
		}
		if target != deployment.VarTarget && path.Join(id.Dir(), target) == deployment.SharedVar {
			wrong = append(wrong, id)
		}
	}
	return wrong, nil
}

// CorrectVarLink replaces the link of a deployment to the shared /var. changes are
// those of the physical root.
func CorrectVarLink(changes durable.FS, id deployment.ID) error {
	if err := durable.Symlink(changes, deployment.VarTarget, id.Var()); err != nil {
		return fmt.Errorf("cannot correct the link to /var of deployment %s: %w", id.Short(), err)
	}
	return nil
}

// correctVarLinks corrects the links of deployments that are there already.
func (m *Machine) correctVarLinks() error {
	wrong, err := WrongVarLinks(m.Root)
	if err != nil {
		return err
	}
	for _, id := range wrong {
		if err := CorrectVarLink(m.Changes, id); err != nil {
			return err
		}
	}
	return nil
}
