package update

import (
	"context"
	"errors"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/verity"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/kcmdline"
	"github.com/sysupdate-image/sysupdate-image/internal/machine"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/records"
)

// A Protection says what became of fs-verity on a machine.
type Protection struct {
	ID       deployment.ID // the current deployment
	Enabled  bool          // for the files of the repository, which did not have it
	Requires bool          // ID has another boot entry, which requires it
	Sealed   bool          // ID has a unified kernel image, whose signed command line decides
	Staged   deployment.ID // a staged deployment that requires it, too
}

// Protect enables fs-verity for all files of the repository, and has the current deployment, and a
// staged one, require it from the next boot on. As with other kernel arguments, the boot entry
// that requires it is on trial, and the one before stays to fall back to. That nothing changes is no
// error. The error is verity.ErrNotSupported if the kernel or the file system has no fs-verity.
func (m *Machine) Protect(ctx context.Context) (Protection, error) {
	s, err := m.readState()
	if err != nil {
		return Protection{}, err
	}
	p := Protection{ID: s.Current(), Enabled: m.Repository.Insecure()}
	p.Sealed = s.Origins[p.ID].BootType == deployment.BootUKI
	if err := checkSettled(s, p.ID, "require fs-verity"); err != nil {
		return p, err
	}
	if err := m.Repository.Protect(ctx); err != nil {
		return p, err
	}
	if !p.Sealed {
		err = m.requireVerity(ctx, s, &p)
	}
	if err == nil {
		err = records.DropProtect(m.Changes)
	}
	return p, err
}

// ProtectIfAsked is Protect on the first boot of a machine whose installer could not do that. It
// reports whether that is so. Where fs-verity is missing, it does not try again on the next boot.
func (m *Machine) ProtectIfAsked(ctx context.Context) (p Protection, asked bool, err error) {
	if asked, err = records.LoadProtect(m.Sysroot); !asked || err != nil {
		return p, false, err
	}
	p, err = m.Protect(ctx)
	if errors.Is(err, verity.ErrNotSupported) {
		err = errors.Join(err, records.DropProtect(m.Changes))
	}
	return p, true, err
}

// protectService does what ProtectIfAsked does, at boot.
const protectService = "usr/lib/systemd/system/" + deployment.ProtectService

// AskToProtect has the first boot of a new machine enable and require fs-verity, and reports whether
// the image of its deployment has what does that.
func (m *Machine) AskToProtect(id deployment.ID) (bool, error) {
	tree, err := m.readImage(id)
	if err != nil || tree.Lookup(protectService) == nil {
		return false, err
	}
	return true, records.StoreProtect(m.Changes)
}

// requireVerity gives the current deployment and a staged one boot entries that require fs-verity.
func (m *Machine) requireVerity(ctx context.Context, s machine.State, p *Protection) error {
	entry, err := entryOf(s, p.ID)
	if err != nil {
		return err
	}
	now := kcmdline.Parse(boot.WithoutTrial(entry.Options))
	next, err := requiring(now)
	if err != nil || next.String() == now.String() {
		return err
	}
	entry.Options = next.String()
	record, err := m.replaceEntries(ctx, s, entry, requiring)
	if err != nil {
		return err
	}
	p.Requires = true
	m.tidyEntries(p.ID)
	m.rememberKargs(KargsChange{ID: p.ID, Added: only(next, now), Removed: only(now, next)})
	if record == nil {
		return nil
	}
	p.Staged = record.ID
	return m.armUnlessLocked(ctx, *record)
}

// requiring is an optionsChange: the same deployment, but not without fs-verity.
func requiring(c kcmdline.Cmdline) (kcmdline.Cmdline, error) {
	t, err := deployment.FromCmdline(c)
	if err != nil || !t.VerityOptional {
		return c, err
	}
	t.VerityOptional = false
	return t.In(c), nil
}
