package update

import (
	"context"
	"fmt"
	"slices"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
)

// Remove removes deployments, each named as for Find, with all that nothing
// else needs. None is removed if one of them has to stay; the error says why,
// and what to do. A Remove that was interrupted is completed by the next, or by
// Prune.
func (m *Machine) Remove(ctx context.Context, names []string) (PruneReport, error) {
	if err := m.checkPrunable(); err != nil {
		return PruneReport{}, err
	}
	v, err := m.inventory()
	if err != nil {
		return PruneReport{}, err
	}
	var gone idList
	for _, name := range names {
		id, err := v.find(name)
		if err != nil {
			return PruneReport{}, err
		}
		gone.add(id)
	}
	if err := v.checkRemove(gone); err != nil {
		return PruneReport{}, err
	}
	keep := slices.DeleteFunc(v.known(), func(id deployment.ID) bool { return slices.Contains(gone, id) })
	return m.pruneTo(ctx, v, keep, false)
}

// checkRemove says why one of the deployments has to stay.
func (v inventory) checkRemove(gone []deployment.ID) error {
	for _, id := range gone {
		if why := v.mustStay(id); why != "" {
			return fmt.Errorf("cannot remove deployment %s: %s", id.Short(), why)
		}
	}
	left := v.having(func(f boot.EntryFile) bool {
		return f.Bootable() && f.IsDeployment() && !slices.Contains(gone, f.Target.ID)
	})
	if len(left) == 0 {
		return fmt.Errorf("cannot remove deployment %s: no other could be booted", gone[0].Short())
	}
	return nil
}

// mustStay says why the deployment cannot be removed, and what to do; "" if it
// can.
func (v inventory) mustStay(id deployment.ID) string {
	name, pinned := v.pinned[id]
	switch {
	case id == v.booted:
		return "it is booted; boot another one first, see sysupdate-image rollback"
	case id == v.staged && v.booted != "":
		return "it is staged; 'sysupdate-image rollback booted' drops it"
	case id == v.staged:
		return "it is staged; make another one the next first, see sysupdate-image rollback"
	case id == v.next():
		return "it boots next; make another one the next first, see sysupdate-image rollback"
	case pinned && name != "":
		return fmt.Sprintf("it is pinned as %q; 'sysupdate-image unpin %s' first", name, name)
	case pinned:
		return fmt.Sprintf("it is pinned; 'sysupdate-image unpin %s' first", id.Short())
	}
	return ""
}
