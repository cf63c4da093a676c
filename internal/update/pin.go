package update

import (
	"errors"
	"fmt"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/machine"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/records"
)

// Pin keeps a deployment from being pruned or removed, and gives it a name
// unless that is "". which is as for Find; "" is the booted deployment, or on a
// machine that does not run the one that boots next. A deployment has one pin:
// pinning it again gives the pin another name, or leaves it the one it has.
func (m *Machine) Pin(which, name string) (deployment.ID, error) {
	s, err := m.readState()
	if err != nil {
		return "", err
	}
	id, err := s.Find(which)
	if err != nil {
		return "", err
	}
	return id, m.pin(s, id, name)
}

func (m *Machine) pin(s machine.State, id deployment.ID, name string) error {
	old, pinned := s.Pins[id]
	if name == "" {
		if pinned {
			return nil
		}
	} else if err := deployment.CheckPinName(name); err != nil {
		return err
	}
	for other, taken := range s.Pins {
		if taken == name && name != "" && other != id {
			return fmt.Errorf("deployment %s is already pinned as %q; unpin it or choose another name", other.Short(), name)
		}
	}
	if pinned && old == name {
		return nil
	}
	return records.StorePin(m.Changes, id, name)
}

// ErrNotPinned says that a deployment is not pinned.
var ErrNotPinned = errors.New("it is not pinned")

// Unpin lets a deployment be pruned and removed again.
func (m *Machine) Unpin(which string) (deployment.ID, error) {
	s, err := m.readState()
	if err != nil {
		return "", err
	}
	id, err := s.Find(which)
	if err != nil {
		return "", err
	}
	if _, pinned := s.Pins[id]; !pinned {
		return "", fmt.Errorf("deployment %s: %w", id.Short(), ErrNotPinned)
	}
	return id, records.DropPin(m.Changes, id)
}
