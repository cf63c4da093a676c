package update

import (
	"errors"
	"fmt"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/image/oci"
	"github.com/sysupdate-image/sysupdate-image/internal/machine"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/records"
)

// FollowedWithTag returns the reference that a machine follows, with another tag.
func FollowedWithTag(at machine.Place, tag string) (string, error) {
	m, err := OpenToPlan(at, func(error) {})
	if err != nil {
		return "", err
	}
	defer m.Close()
	name, err := m.tracked()
	if err != nil {
		return "", err
	}
	ref, err := oci.ParseOrigin(name)
	if err == nil {
		ref, err = ref.WithTag(tag)
	}
	if err != nil {
		return "", err
	}
	return ref.String(), nil
}

// Follow has a machine follow a reference from then on, without fetching it. It returns the
// deployment whose origin says so, and the reference in full.
func (m *Machine) Follow(reference string) (deployment.ID, string, error) {
	ref, err := oci.ParseReference(reference)
	if err != nil {
		return "", "", err
	}
	ids, err := m.followed()
	if err != nil {
		return "", "", err
	}
	if len(ids) == 0 {
		return "", "", errors.New("there is no deployment whose origin could say so")
	}
	o, err := m.readOrigin(ids[0])
	if err != nil {
		return "", "", err
	}
	o.Reference = ref.Origin()
	if err := records.StoreOrigin(m.Changes, ids[0], o); err != nil {
		return "", "", fmt.Errorf("cannot change the origin of deployment %s: %w", ids[0].Short(), err)
	}
	return ids[0], ref.String(), nil
}

// Retain pins the booted deployment, if it is not pinned.
func (m *Machine) Retain() error {
	_, err := m.Pin(deployment.WordBooted, "")
	return err
}
