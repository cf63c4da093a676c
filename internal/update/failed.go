package update

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bootentry"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/image/oci"
	"github.com/sysupdate-image/sysupdate-image/internal/machine"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/records"
)

// An image whose deployment used up its boots here would do so again. A timer
// that applies what the machine follows must not boot it over and over, so it
// is passed over until the reference leads to another image. What is known of
// it are the records of failed boots, which stay when the deployment goes.

// A FailedHereError says that an image was not applied since its deployment has
// failed to boot on this machine.
type FailedHereError struct {
	ID  deployment.ID
	Why string // "" if it is not known
}

func (e *FailedHereError) Error() string {
	text := fmt.Sprintf("this image has failed to boot here, as deployment %s", e.ID.Short())
	if e.Why != "" {
		text += " (" + e.Why + ")"
	}
	return text
}

// maxFailures is how many records stay of deployments that are gone.
const maxFailures = 16

// failures returns what is known of failed boots, by deployment: the records,
// and what entries tell that have used up their boots.
func (m *Machine) failures(s machine.State) (map[deployment.ID]deployment.BootFailure, error) {
	all := maps.Clone(s.Failures)
	if all == nil {
		all = make(map[deployment.ID]deployment.BootFailure)
	}
	proven := s.Proven()
	for _, f := range s.Files {
		if !f.IsDeployment() || !f.Name.Exhausted() || s.Broken[f.Target.ID] || slices.Contains(proven, f.Target.ID) {
			continue
		}
		failure, known := all[f.Target.ID]
		if !known {
			failure = deployment.BootFailure{ID: f.Target.ID, Time: time.Now().UTC().Format(time.RFC3339)}
		}
		failure.Entry = f.Name.String()
		// Without the origin the failure is known by the deployment's id alone.
		if o, err := m.readOrigin(f.Target.ID); err == nil && o.ManifestDigest != "" {
			failure.Image = o.ManifestDigest
		}
		all[f.Target.ID] = failure
	}
	for _, id := range proven {
		delete(all, id)
	}
	return all, nil
}

// readFailures returns the records of failed boots. One that makes no sense is
// passed over: it is there for people.
func (m *Machine) readFailures() (map[deployment.ID]deployment.BootFailure, error) {
	all, _, err := records.LoadBootFailures(m.root.FS())
	if err != nil {
		return nil, fmt.Errorf("cannot read boot failures: %w", err)
	}
	return all, nil
}

// noteFailures writes down which deployments have failed, before their entries
// may go, and forgets those that have proved themselves since.
func (m *Machine) noteFailures(s machine.State) (map[deployment.ID]deployment.BootFailure, error) {
	before, err := m.readFailures()
	if err != nil {
		return nil, err
	}
	all, err := m.failures(s)
	if err != nil {
		return nil, err
	}
	for _, id := range sortedKeys(all) {
		old, known := before[id]
		if f := all[id]; !known || old.Entry != f.Entry || old.Image != f.Image {
			if err := records.StoreBootFailure(m.changes, f); err != nil {
				return nil, err
			}
		}
	}
	for _, id := range sortedKeys(before) {
		if _, known := all[id]; !known {
			if err := records.DropBootFailure(m.changes, id); err != nil {
				return nil, err
			}
		}
	}
	return all, nil
}

// oldFailures returns the records of deployments that are not kept, but for the
// newest.
func (m *Machine) oldFailures(keep []deployment.ID) ([]string, error) {
	all, err := m.readFailures()
	if err != nil {
		return nil, err
	}
	var gone []deployment.BootFailure
	for _, id := range sortedKeys(all) {
		if !slices.Contains(keep, id) {
			gone = append(gone, all[id])
		}
	}
	slices.SortStableFunc(gone, func(a, b deployment.BootFailure) int { return cmp.Compare(b.Time, a.Time) })
	var names []string
	for i, f := range gone {
		if i >= maxFailures || !usedUp(f) {
			names = append(names, f.ID.BootFailureFile())
		}
	}
	return names, nil
}

// usedUp says whether the failure was that of the last boot on trial.
func usedUp(f deployment.BootFailure) bool {
	name, err := bootentry.ParseName(f.Entry)
	return err == nil && name.Exhausted()
}

// passOver says whether the image is passed over, since a deployment of it, or
// the deployment id unless that is "", has failed here. For a reference that was
// given it is an error: it is not what was asked for.
func (m *Machine) passOver(img *oci.Image, id deployment.ID, o Options, result *Result) (bool, error) {
	if o.Force {
		return false, nil
	}
	s, err := m.readState()
	if err != nil {
		return false, err
	}
	all, err := m.noteFailures(s)
	if err != nil {
		return false, err
	}
	failed := checkFailed(all, img.ManifestDigest, id)
	if failed == nil {
		return false, nil
	}
	if f := all[failed.ID]; f.Image != img.ManifestDigest {
		// Another container image of the same content: known from now on, so
		// that it need not be fetched to find out.
		f.Image = img.ManifestDigest
		if err := records.StoreBootFailure(m.changes, f); err != nil {
			return false, err
		}
	}
	if o.Reference != "" {
		return true, failed
	}
	result.Outcome, result.ID, result.Why = PassedOver, failed.ID, failed.Error()
	return true, nil
}

// wouldPassOver says why Apply would pass the image over, "" if it would not.
func (m *Machine) wouldPassOver(img *oci.Image, o Options) (string, error) {
	s, err := m.readState()
	if err != nil || o.Force {
		return "", err
	}
	all, err := m.failures(s)
	if err != nil {
		return "", err
	}
	if failed := checkFailed(all, img.ManifestDigest, ""); failed != nil {
		return failed.Error(), nil
	}
	return "", nil
}

// checkFailed returns a *FailedHereError if a deployment of the image with the
// manifest, or the one with the id unless that is "", has failed here.
func checkFailed(all map[deployment.ID]deployment.BootFailure, manifest string, id deployment.ID) *FailedHereError {
	for _, known := range sortedKeys(all) {
		f := all[known]
		if usedUp(f) && (f.Image == manifest && manifest != "" || known == id) {
			return &FailedHereError{ID: known, Why: f.Why()}
		}
	}
	return nil
}

func sortedKeys[T any](m map[deployment.ID]T) []deployment.ID { return slices.Sorted(maps.Keys(m)) }
