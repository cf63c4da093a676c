package update

import (
	"context"
	"slices"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
)

// Remove removes deployments, each named as for State.Find, with all that nothing else
// needs. If one of them must stay, none is removed, and the error is a
// *machine.HeldError. A Remove that was interrupted is completed by the next one, or by
// Prune.
func (m *Machine) Remove(ctx context.Context, names []string) (PruneReport, error) {
	if err := m.checkPrunable(); err != nil {
		return PruneReport{}, err
	}
	s, err := m.readState()
	if err != nil {
		return PruneReport{}, err
	}
	var gone []deployment.ID
	for _, name := range names {
		id, err := s.Find(name)
		if err != nil {
			return PruneReport{}, err
		}
		gone = append(gone, id)
	}
	if err := s.CheckRemove(gone); err != nil {
		return PruneReport{}, err
	}
	keep := slices.DeleteFunc(s.Known(), func(id deployment.ID) bool { return slices.Contains(gone, id) })
	report, err := m.pruneTo(ctx, s, keep, false)
	if err == nil {
		m.copyESPs(ctx)
	}
	return report, err
}
