package update

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bootentry"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/machine"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/records"
)

// An image whose deployment used up its boots here would do so again. A timer
// that applies what the machine follows must not boot it over and over, so it
// is skipped until the reference leads to another image. What is known of
// it are the records of failed boots, which stay when the deployment goes.

// A FailedHereError reports that an image was not applied since its deployment has
// failed to boot on this machine.
type FailedHereError struct {
	ID        deployment.ID
	Why       string // "" if it is not known
	Reference string // that was to be applied, "" if none was given
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

// readFailures returns the records of failed boots. An invalid one is skipped: it is
// there for people.
func (m *Machine) readFailures() (map[deployment.ID]deployment.BootFailure, error) {
	all, _, err := records.LoadBootFailures(m.Root.FS())
	if err != nil {
		return nil, fmt.Errorf("cannot read boot failures: %w", err)
	}
	return all, nil
}

// noteFailures writes down which deployments have failed, before their entries
// may go, and forgets those that have proved themselves since.
func (m *Machine) noteFailures(s machine.State) error {
	before, all := s.Failures, failures(s)
	for _, id := range sortedKeys(all) {
		old, known := before[id]
		if f := all[id]; !known || old.Entry != f.Entry || old.Image != f.Image {
			if err := records.StoreBootFailure(m.Changes, f); err != nil {
				return err
			}
		}
	}
	for _, id := range sortedKeys(before) {
		if _, known := all[id]; !known {
			if err := records.DropBootFailure(m.Changes, id); err != nil {
				return err
			}
		}
	}
	return nil
}

// oldFailures returns the records of deployments that are not kept, except the newest.
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
		if i < maxFailures && usedUp(f) {
			continue
		}
		if _, err := m.Root.Lstat(f.ID.BootJournalFile()); err == nil {
			names = append(names, f.ID.BootJournalFile())
		}
		names = append(names, f.ID.BootFailureFile())
	}
	return names, nil
}

// usedUp reports whether the failure was that of the last boot on trial.
func usedUp(f deployment.BootFailure) bool {
	name, err := bootentry.ParseName(f.Entry)
	return err == nil && name.Exhausted()
}

// noteSkipped records that a skipped image makes a deployment that has failed here, so it
// need not be fetched again to find that out.
func (m *Machine) noteSkipped(s machine.State, failed deployment.ID, manifest string) error {
	f := failures(s)[failed]
	if f.Image == manifest {
		return nil
	}
	f.Image = manifest
	return records.StoreBootFailure(m.Changes, f)
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
