package update

import (
	"context"
	"errors"
	"fmt"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/image/system"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
	"github.com/sysupdate-image/sysupdate-image/internal/machine"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/records"
)

// A staged deployment can be locked: it is complete on disk, and no shutdown makes it the next.
// The record says so, in the field that bootc has for it.

// ErrNothingStaged reports that there is no update to unlock.
var ErrNothingStaged = errors.New("no update is staged")

// ErrBootcStaged reports that bootc has staged what is to be unlocked: its own service publishes
// that.
var ErrBootcStaged = errors.New("the staged update was made by bootc, which must unlock it")

// setLocked locks or unlocks what is staged, and reports whether it was otherwise before.
func (m *Machine) setLocked(ctx context.Context, locked bool) (bool, error) {
	record, err := m.staged()
	if err != nil || record == nil || record.FinalizationLocked == locked {
		return false, err
	}
	if locked && record.Published {
		return false, fmt.Errorf("cannot lock deployment %s: its boot entry is already published", record.ID.Short())
	}
	record.FinalizationLocked = locked
	if locked {
		return true, errors.Join(m.writeRecord(*record), m.forgetSoftReboot())
	}
	// Boots since it was staged do not count: no shutdown was to publish it.
	record.BootID = bootID()
	if err := durable.Remove(m.Changes, deployment.OverdueRecord); err != nil {
		return false, err
	}
	if err := m.writeRecord(*record); err != nil {
		return false, err
	}
	if m.Booted == "" {
		return true, nil
	}
	return true, arm(ctx)
}

// lockAgain locks or unlocks what is staged already, as the options have it.
func (m *Machine) lockAgain(ctx context.Context, o Options, s *machine.State, result *Result) error {
	changed, err := m.setLocked(ctx, o.DownloadOnly)
	s.Staged.FinalizationLocked = o.DownloadOnly
	result.Locked, result.Unlocked = o.DownloadOnly, changed && !o.DownloadOnly
	return err
}

// forgetSoftReboot drops the request that a soft reboot continues with what is staged.
func (m *Machine) forgetSoftReboot() error {
	if m.Booted == "" {
		return nil
	}
	return records.DropSoftReboot(m.Host)
}

// ApplyDownloaded unlocks the staged deployment: the next shutdown makes it the next to boot. It
// looks for no newer image. The error is ErrNothingStaged or ErrBootcStaged.
func (m *Machine) ApplyDownloaded(ctx context.Context, o Options) (Result, error) {
	s, err := m.readState()
	if err != nil {
		return Result{}, err
	}
	if s.Staged == nil {
		return Result{}, ErrNothingStaged
	}
	if own, err := m.staged(); err != nil {
		return Result{}, err
	} else if own == nil {
		return Result{}, ErrBootcStaged
	}
	if o, err = m.withWishes(o); err != nil {
		return Result{}, err
	}
	id := s.Staged.ID
	from := s.Origins[id]
	r := Result{
		Decision: Decision{Outcome: AlreadyNext, ID: id}, Reference: from.ImageReference(),
		ManifestDigest: from.ManifestDigest, Signature: from.Signature, kexec: o.Kexec,
	}
	r.Name, r.Version = nameOf(s, id)
	if r.Unlocked, err = m.setLocked(ctx, false); err != nil {
		return Result{}, err
	}
	m.checkNext(id)
	if o.SoftReboot != NotWanted {
		r.SoftReboot, err = m.softRebootHere(ctx, s, o)
	}
	return r, err
}

// softRebootHere asks for a soft reboot into what is staged, whose image is in the repository,
// or says why that is not possible.
func (m *Machine) softRebootHere(ctx context.Context, s machine.State, o Options) (*Possibility, error) {
	target, options := stagedTarget(s)
	tree, err := m.readImage(target.ID)
	if err != nil {
		return nil, err
	}
	sys, err := system.Deployed(ctx, tree, m.Repository)
	if errors.Is(err, system.ErrSealedDeployment) {
		return impossible(err.Error(), o)
	} else if err != nil {
		return nil, err
	}
	result, err := m.checkSoftReboot(ctx, sys, options, o)
	if err != nil || !result.Possible {
		return result, err
	}
	return result, m.requestSoftReboot(target, sys.Mounts)
}

// stagedTarget returns what the boot entry of the staged deployment names, and its kernel
// command line.
func stagedTarget(s machine.State) (deployment.Target, string) {
	for _, f := range s.Files {
		if serves(f, *s.Staged) {
			return f.Target, f.Entry.Options
		}
	}
	return deployment.Target{ID: s.Staged.ID}, ""
}
