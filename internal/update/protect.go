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
	ID      deployment.ID // the current deployment
	Enabled bool          // for the files of the repository, which did not have it
	Demands bool          // ID has another boot entry, which demands it
	Sealed  bool          // whether ID demands it says its unified kernel image, which is signed
	Staged  deployment.ID // a staged deployment that demands it, too
}

// Protect enables fs-verity for all files of the repository, and has the current deployment, and a
// staged one, demand it from the next boot on. As with other kernel arguments, the boot entry
// that demands it is on trial, and the one before stays to fall back to. That nothing changes is no
// error. The error is verity.ErrNotSupported if the kernel or the file system has no fs-verity.
func (m *Machine) Protect(ctx context.Context) (Protection, error) {
	s, err := m.readState()
	if err != nil {
		return Protection{}, err
	}
	p := Protection{ID: s.Current(), Enabled: m.Repository.Insecure()}
	p.Sealed = s.Origins[p.ID].BootType == deployment.BootUKI
	switch {
	case p.ID == "":
		return p, errors.New("there is no deployment")
	case s.RollbackQueued():
		return p, errors.New("a rollback is queued; reboot into it or cancel it before you demand fs-verity")
	}
	if err := m.Repository.Protect(ctx); err != nil {
		return p, err
	}
	if !p.Sealed {
		err = m.demandVerity(ctx, s, &p)
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

// AskToProtect has the first boot of a new machine enable and demand fs-verity, and reports whether
// the image of its deployment has what does that.
func (m *Machine) AskToProtect(id deployment.ID) (bool, error) {
	tree, err := m.readImage(id)
	if err != nil || tree.Lookup(protectService) == nil {
		return false, err
	}
	return true, records.StoreProtect(m.Changes)
}

// demandVerity gives the current deployment and a staged one boot entries that demand fs-verity.
func (m *Machine) demandVerity(ctx context.Context, s machine.State, p *Protection) error {
	entry, err := entryOf(s, p.ID)
	if err != nil {
		return err
	}
	now := kcmdline.Parse(boot.WithoutTrial(entry.Options))
	next, err := demanding(now)
	if err != nil || next.String() == now.String() {
		return err
	}
	entry.Options = next.String()
	record, err := m.replaceEntries(ctx, s, entry, demanding)
	if err != nil {
		return err
	}
	p.Demands = true
	m.tidyEntries(p.ID)
	m.rememberKargs(KargsChange{ID: p.ID, Added: only(next, now), Removed: only(now, next)})
	if record == nil {
		return nil
	}
	p.Staged = record.ID
	return m.armUnlessLocked(ctx, *record)
}

// demanding is an optionsChange: the same deployment, but not without fs-verity.
func demanding(c kcmdline.Cmdline) (kcmdline.Cmdline, error) {
	t, err := deployment.FromCmdline(c)
	if err != nil || !t.VerityOptional {
		return c, err
	}
	t.VerityOptional = false
	return t.In(c), nil
}
