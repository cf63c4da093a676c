package update

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/erofs"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/repo"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/machine"
)

// A PruneReport says what was pruned, or would be.
type PruneReport struct {
	Deployments []deployment.ID // that went
	Kept        []deployment.ID
	BootFiles   []string // entries and kernels, on the boot partition
	Leftovers   []string // state directories and what crashes left, on the root file system
	Repository  repo.Report
}

// PlanPrune returns what Prune would remove from the machine that Open would open. It
// changes nothing. If another program is changing the machine, warn is called, and the
// report includes files that the other program has not finished yet.
func PlanPrune(ctx context.Context, at machine.Place, warn func(error)) (PruneReport, error) {
	m, err := OpenToPlan(at, warn)
	if err != nil {
		return PruneReport{}, err
	}
	defer m.Close()
	if m.Repository != nil {
		if err := m.Repository.Busy(); errors.Is(err, repo.ErrBusy) {
			warn(fmt.Errorf("%w; what it has not finished may be listed as not needed", err))
		} else if err != nil {
			return PruneReport{}, err
		}
	}
	return m.Prune(ctx, true)
}

// Prune removes the deployments that do not stay, those that have lost their boot entry,
// and all that belongs to none of those that do. With dryRun it only reports. Where
// nothing was ever applied there is nothing to remove.
func (m *Machine) Prune(ctx context.Context, dryRun bool) (PruneReport, error) {
	report, err := m.prune(ctx, func(s *machine.State) { s.Lost = nil }, dryRun)
	if err == nil && !dryRun {
		m.copyESPs(ctx)
	}
	return report, err
}

// pruneAfter removes the deployments that do not stay after an image was applied, when
// nobody asked for a removal.
func (m *Machine) pruneAfter(ctx context.Context) (PruneReport, error) {
	return m.prune(ctx, func(s *machine.State) {
		for _, id := range s.Lost {
			m.warn(fmt.Errorf("deployment %s has no boot entry any more; keeping it and its /etc until it is pruned, or its image applied again", id.Short()))
		}
	}, false)
}

// prune is Prune for the state of the machine as adjust makes it.
func (m *Machine) prune(ctx context.Context, adjust func(*machine.State), dryRun bool) (PruneReport, error) {
	if err := m.checkPrunable(); errors.Is(err, errNothingApplied) {
		return PruneReport{}, nil
	} else if err != nil {
		return PruneReport{}, err
	}
	s, spare, err := m.stateAndSpare()
	if err != nil {
		return PruneReport{}, fmt.Errorf("cannot prune: %w", err)
	}
	for _, d := range s.Doubts() {
		m.warn(fmt.Errorf("boot entry %s cannot be used: %w; keeping deployment %s", d.File, d.Err, d.ID.Short()))
	}
	adjust(&s)
	keep := s.Kept(spare)
	if len(keep) == 0 {
		return PruneReport{}, nil
	}
	return m.pruneTo(ctx, s, keep, dryRun)
}

var errNothingApplied = errors.New("nothing to remove: no image was applied here yet")

// checkPrunable says what keeps anything from being removed here.
func (m *Machine) checkPrunable() error {
	if err := m.checkBoot(); err != nil {
		return err
	}
	s, err := m.readState()
	switch {
	case err != nil:
		return err
	case m.Boot == nil, m.Repository == nil && len(s.Dirs) == 0:
		return errNothingApplied
	case m.Repository == nil:
		return fmt.Errorf("cannot prune: there are deployments, but the repository /%s is missing", deployment.RepositoryDir)
	}
	return nil
}

// stateAndSpare returns the state of the machine, and how many deployments that are not
// needed its configuration keeps.
func (m *Machine) stateAndSpare() (s machine.State, spare int, err error) {
	if s, err = m.readState(); err != nil {
		return s, 0, err
	}
	c, err := m.config()
	return s, c.keep(), err
}

// stagedEntry returns the name that finalize gives the staged boot entry.
func stagedEntry(s machine.State) string {
	if s.Staged == nil {
		return ""
	}
	return s.Staged.Entry
}

// pruneTo removes all deployments but those to keep: first their boot entries
// and kernels, so that nothing is ever listed that is not whole, then their
// state, images and objects. Whatever could be left of this by a crash, or has
// lost what it belongs to, is removed the next time.
func (m *Machine) pruneTo(ctx context.Context, s machine.State, keep []deployment.ID, dryRun bool) (PruneReport, error) {
	report := PruneReport{Kept: keep}
	for _, id := range s.Known() {
		if !slices.Contains(keep, id) {
			report.Deployments = append(report.Deployments, id)
		}
	}
	removal, err := m.Boot.PlanPrune(keep, stagedEntry(s))
	if err != nil {
		return report, err
	}
	report.BootFiles = removal.Paths()
	if report.Leftovers, err = m.leftovers(keep); err != nil {
		return report, fmt.Errorf("cannot prune state of deployments: %w", err)
	}
	if dryRun {
		report.Repository, err = m.collect(ctx, keep, true)
		return report, err
	}
	if err := m.exclude(); err != nil {
		return report, fmt.Errorf("cannot prune: %w", err)
	}
	if err := m.noteFailures(s); err != nil {
		return report, fmt.Errorf("cannot prune: %w", err)
	}
	if err := m.forgetFallbacks(report.Deployments); err != nil {
		return report, fmt.Errorf("cannot prune: %w", err)
	}
	if err := m.Boot.Record(); err != nil {
		return report, fmt.Errorf("cannot prune: %w", err)
	}
	if err := m.Boot.Prune(removal); err != nil {
		return report, err
	}
	// A crash may bring some of these back; the next prune removes them.
	for _, name := range report.Leftovers {
		if err := m.removeLeftover(ctx, name); err != nil {
			return report, fmt.Errorf("cannot prune state of deployments: %w", err)
		}
	}
	if err := TellAtLogin(m.System); err != nil {
		m.warn(err)
	}
	report.Repository, err = m.collect(ctx, keep, false)
	return report, err
}

// collect removes the references to container images that no deployment comes
// from, and what nothing in the repository needs then. Where the image of a
// deployment cannot be read the contents of all stay, and where the origin cannot,
// the layers of all.
func (m *Machine) collect(ctx context.Context, keep []deployment.ID, dryRun bool) (repo.Report, error) {
	roots, err := m.roots(keep)
	if err != nil {
		return repo.Report{}, fmt.Errorf("cannot prune the repository: %w", err)
	}
	report, err := m.Repository.GC(ctx, roots, dryRun)
	if err != nil {
		return report, fmt.Errorf("cannot prune the repository: %w", err)
	}
	for _, id := range report.Unreadable {
		m.warn(fmt.Errorf("%w; all contents in the repository stay", &deployment.DamagedImageError{ID: deployment.ID(id)}))
	}
	return report, nil
}

// roots returns what collect keeps, and the images with further manifests.
func (m *Machine) roots(keep []deployment.ID, manifests ...string) (repo.Roots, error) {
	roots := repo.Roots{EachObject: erofs.EachObject}
	wanted := make(map[string]bool)
	for _, digest := range manifests {
		wanted[rootRef(digest)] = true
	}
	known := true
	for _, id := range keep {
		found, err := m.Repository.HasImage(string(id))
		if err != nil {
			return roots, err
		}
		if found {
			roots.Images = append(roots.Images, string(id))
		} else {
			m.warn(&deployment.DamagedImageError{ID: id})
		}
		o, err := m.readOrigin(id)
		if err != nil {
			m.warn(fmt.Errorf("%w; the layers of all images stay", err))
			known = false
		}
		wanted[rootRef(o.ManifestDigest)] = true
	}
	refs, err := m.Repository.Refs()
	if err != nil {
		return roots, err
	}
	for _, ref := range slices.Sorted(maps.Keys(refs)) {
		if known && isRootRef(ref) && !wanted[ref] {
			roots.Without = append(roots.Without, ref)
		}
	}
	return roots, nil
}
