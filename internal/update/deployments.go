package update

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bootentry"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/image/oci"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/records"
)

// ErrNothingTracked says that a machine follows no image.
var ErrNothingTracked = errors.New("this machine follows no image yet: say which one to apply")

// readOrigin returns where a deployment came from; what has no origin file has
// the zero Origin.
func (m *Machine) readOrigin(id deployment.ID) (deployment.Origin, error) {
	o, err := records.LoadOrigin(m.root.FS(), id)
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

// nothingToDo says whether the image is what boots next already. What is staged is
// armed once more: an apply may have been killed before it had done so.
func (m *Machine) nothingToDo(ctx context.Context, img *oci.Image, o Options, result *Result) (bool, error) {
	id, old, err := m.isNext(img)
	if err == nil && id == "" && o.Reference == "" {
		id, old, err = m.isLeft(img, result)
	}
	if err != nil || id == "" {
		return false, err
	}
	title, err := m.titleOf(id)
	if err != nil {
		return false, err
	}
	result.ID, result.Version = id, old.Version
	result.Name = strings.TrimSuffix(title, " ("+old.Version+")") // see boot.NewEntry
	switch {
	case result.QueuedRollback != "":
		result.Outcome = RollbackQueued
	case id == m.booted:
		result.Outcome = AlreadyBooted
	default:
		result.Outcome = AlreadyNext
	}
	if err := m.setEtcPolicy(o.EtcConflicts); err != nil {
		return true, err
	}
	if err := m.follow(id, origin(img, o, nil)); err != nil {
		return true, err
	}
	return true, m.armStaged(ctx)
}

// isNext returns the deployment that boots next and its origin if img made it,
// else "".
func (m *Machine) isNext(img *oci.Image) (deployment.ID, deployment.Origin, error) {
	id, err := m.nextDeployment()
	if err != nil {
		return "", deployment.Origin{}, err
	}
	return m.madeOf(id, img)
}

// madeOf returns a deployment and its origin if img made it, else "".
func (m *Machine) madeOf(id deployment.ID, img *oci.Image) (deployment.ID, deployment.Origin, error) {
	if id == "" || m.repo == nil {
		return "", deployment.Origin{}, nil
	}
	o, err := m.readOrigin(id)
	if err != nil || o.ManifestDigest != img.ManifestDigest {
		return "", deployment.Origin{}, err
	}
	found, err := m.repo.HasImage(string(id))
	if err != nil || !found {
		return "", deployment.Origin{}, err
	}
	return id, o, nil
}

// nextDeployment returns the deployment that boots next: the staged one, or
// the first that has a boot entry. It is "" if one is staged that no shutdown could
// make the next, since its entry is lost: it has to be staged anew.
func (m *Machine) nextDeployment() (deployment.ID, error) {
	record, err := m.staged()
	if err != nil {
		return "", err
	}
	s, err := m.readState()
	if err != nil {
		return "", err
	}
	if record == nil {
		first, _ := s.First()
		return first.Target.ID, nil
	}
	if !slices.ContainsFunc(s.Files, func(f boot.EntryFile) bool { return serves(f, *record) }) {
		return "", nil
	}
	return record.ID, nil
}

// serves says whether an entry is the one that a staged record is about: the staged
// one, or the published one where that was done before, as long as the loader tries it.
func serves(f boot.EntryFile, record deployment.Staged) bool {
	if f.Err != nil || f.Target.ID != record.ID {
		return false
	}
	if f.Staged {
		return f.Name.String() == record.Entry
	}
	// Another entry of the deployment may be left of an earlier time.
	published, err := bootentry.ParseName(record.Entry)
	return err == nil && record.Published && f.Name.Base == published.Base && !f.Name.Exhausted()
}

// titleOf returns the title of a deployment's boot entry.
func (m *Machine) titleOf(id deployment.ID) (string, error) {
	files, err := m.entries()
	if err != nil {
		return "", err
	}
	i := slices.IndexFunc(files, func(f boot.EntryFile) bool { return f.Target.ID == id })
	if i < 0 {
		return "", nil
	}
	return files[i].Entry.Title, nil
}

// origin returns the origin of the deployment that img makes. system may be
// nil where the deployment is there already.
func origin(img *oci.Image, from Options, system *System) deployment.Origin {
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
	return records.StoreOrigin(m.changes, id, now)
}
