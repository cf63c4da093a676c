package update

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/image/oci"
	"github.com/sysupdate-image/sysupdate-image/internal/image/system"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/records"
)

// ErrNothingTracked reports that a machine follows no image.
var ErrNothingTracked = errors.New("this machine follows no image yet")

// readOrigin returns where a deployment came from; what has no origin file has
// the zero Origin.
func (m *Machine) readOrigin(id deployment.ID) (deployment.Origin, error) {
	o, err := records.LoadOrigin(m.Root.FS(), id)
	if errors.Is(err, fs.ErrNotExist) {
		return o, nil
	}
	if err != nil {
		return o, fmt.Errorf("cannot read the origin of deployment %s: %w", id.Short(), err)
	}
	return o, nil
}

// tracked returns the reference that the machine follows.
func (m *Machine) tracked() (string, error) {
	ids, err := m.followed()
	if err != nil {
		return "", err
	}
	for _, id := range ids {
		o, err := m.readOrigin(id)
		if err != nil {
			return "", err
		}
		if ref := o.Followed(); ref != "" {
			return ref, nil
		}
	}
	return "", ErrNothingTracked
}

// followed returns the deployments whose reference counts, the first first: a
// staged one may have switched to another.
func (m *Machine) followed() ([]deployment.ID, error) {
	var ids []deployment.ID
	record, err := m.staged()
	if err != nil {
		return nil, err
	}
	if record != nil {
		ids = append(ids, record.ID)
	}
	s, err := m.readState()
	if current := s.Current(); current != "" {
		ids = append(ids, current)
	}
	return ids, err
}

// keep carries out a settled decision: nothing is built, and the deployment that there
// is follows the image. What is staged is armed once more: an apply may have been killed
// before it had done so.
func (m *Machine) keep(ctx context.Context, img *oci.Image, o Options, d Decision) error {
	if err := m.setEtcPolicy(o.EtcConflicts); err != nil {
		return err
	}
	if err := m.follow(d.ID, origin(img, o, nil)); err != nil {
		return err
	}
	return m.armStaged(ctx)
}

// origin returns the origin of the deployment that img makes. system may be
// nil where the deployment is there already.
func origin(img *oci.Image, from Options, system *system.System) deployment.Origin {
	o := deployment.Origin{
		Reference: img.Reference.Origin(), ManifestDigest: img.ManifestDigest,
		Signature: img.Signature, Policy: from.Source.PolicyFile,
	}
	if from.Track != "" {
		o.Reference = from.Track
	}
	if system != nil {
		o.Version, o.Kernel = system.Version, system.Kernel.Version
	}
	if img.Config.Created != nil {
		o.Created = img.Config.Created.UTC().Format(time.RFC3339)
	}
	return o
}

// follow notes that a deployment that is there already comes from where o says.
func (m *Machine) follow(id deployment.ID, o deployment.Origin) error {
	old, err := m.readOrigin(id)
	if err != nil {
		return err
	}
	now := old
	now.Reference, now.ManifestDigest, now.Signature, now.Policy = o.Reference, o.ManifestDigest, o.Signature, o.Policy
	if string(now.Encode()) == string(old.Encode()) {
		return nil
	}
	return records.StoreOrigin(m.Changes, id, now)
}
