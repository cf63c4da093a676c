package update

import (
	"errors"
	"fmt"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
)

// Pin keeps a deployment from being pruned or removed, and gives it a name
// unless that is "". which is as for Find; "" is the booted deployment, or on a
// machine that does not run the one that boots next. A deployment has one pin:
// pinning it again gives the pin another name, or leaves it the one it has.
func (m *Machine) Pin(which, name string) (deployment.ID, error) {
	v, err := m.inventory()
	if err != nil {
		return "", err
	}
	if which == "" {
		if which = deployment.WordBooted; v.booted == "" {
			which = deployment.WordNext
		}
	}
	id, err := v.find(which)
	if err != nil {
		return "", err
	}
	return id, m.pin(v, id, name)
}

func (m *Machine) pin(v inventory, id deployment.ID, name string) error {
	old, pinned := v.pinned[id]
	if name == "" {
		if pinned {
			return nil
		}
	} else if err := deployment.CheckPinName(name); err != nil {
		return err
	}
	for other, taken := range v.pinned {
		if taken == name && name != "" && other != id {
			return fmt.Errorf("deployment %s is pinned as %q already: unpin it, or take another name", other.Short(), name)
		}
	}
	if pinned && old == name {
		return nil
	}
	changes := m.changes
	if err := durable.MkdirAll(changes, deployment.PinsDir, 0o755); err != nil {
		return err
	}
	content := ""
	if name != "" {
		content = name + "\n"
	}
	return durable.WriteFile(changes, id.PinFile(), []byte(content))
}

// ErrNotPinned says that a deployment is not pinned.
var ErrNotPinned = errors.New("it is not pinned")

// Unpin lets a deployment be pruned and removed again.
func (m *Machine) Unpin(which string) (deployment.ID, error) {
	v, err := m.inventory()
	if err != nil {
		return "", err
	}
	id, err := v.find(which)
	if err != nil {
		return "", err
	}
	if _, pinned := v.pinned[id]; !pinned {
		return "", fmt.Errorf("deployment %s: %w", id.Short(), ErrNotPinned)
	}
	return id, durable.Remove(m.changes, id.PinFile())
}
