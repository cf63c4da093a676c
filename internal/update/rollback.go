package update

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bootentry"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/machine"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
)

// A RollbackResult says what boots next.
type RollbackResult struct {
	ID            deployment.ID
	Title         string
	Already       bool          // it was the next before
	DroppedStaged deployment.ID // "" if nothing was staged
	Reset         machine.Reset // which state counts next, if it returned to the other one of a reset
}

// Rollback makes a deployment the next to boot: the one that name stands for, as
// for Find, or for "" the one before the current one, or the booted one if
// another was the next. What was staged is dropped. The change is one rename;
// its /etc is as that deployment left it.
func (m *Machine) Rollback(ctx context.Context, name string) (RollbackResult, error) {
	s, err := m.readState()
	if err != nil {
		return RollbackResult{}, err
	}
	if name == "" {
		if result, done, err := m.rollbackReset(ctx, s); done || err != nil {
			return result, err
		}
	}
	target, err := rollbackTo(s, name)
	if err != nil {
		return RollbackResult{}, err
	}
	id := target.Target.ID
	result := RollbackResult{ID: id, Title: target.Entry.Title}
	if s.Staged != nil && id == s.Staged.ID {
		result.Already = true
		return result, nil
	}
	if err := ctx.Err(); err != nil {
		return RollbackResult{}, err
	}
	if err := m.Boot.Record(); err != nil {
		return RollbackResult{}, err
	}
	if result.DroppedStaged, err = m.unstage(); err != nil {
		return RollbackResult{}, err
	}
	m.clearDiversions()
	first, _ := s.First()
	result.Already = id == first.Target.ID && !target.Name.Exhausted()
	if !result.Already {
		// An entry has tries by its name alone; Name also has those of the initramfs.
		file, err := bootentry.ParseName(target.File)
		if err != nil {
			return RollbackResult{}, err
		}
		if err := m.arm(id, target.Name.Counted, file.Counted); err != nil {
			return RollbackResult{}, err
		}
	}
	if _, err := m.Boot.Rollback(id); err != nil {
		return RollbackResult{}, err
	}
	m.checkNext(id)
	if !result.Already {
		m.rememberRollback(id, cmp.Or(result.DroppedStaged, first.Target.ID))
	}
	m.copyESPs(ctx)
	return result, nil
}

// rollbackTo returns the entry of the deployment to go back to.
func rollbackTo(s machine.State, name string) (boot.EntryFile, error) {
	if name == "" {
		return s.RollbackTarget()
	}
	id, err := s.Find(name)
	if err != nil {
		return boot.EntryFile{}, err
	}
	i := slices.IndexFunc(s.Files, func(f boot.EntryFile) bool { return f.Target.ID == id })
	switch {
	case s.Broken[id]:
		return boot.EntryFile{}, fmt.Errorf("cannot roll back: %w", &deployment.DamagedImageError{ID: id})
	case i < 0:
		return boot.EntryFile{}, fmt.Errorf("deployment %s has no boot entry; apply its image again", id.Short())
	case s.Files[i].Err != nil:
		return boot.EntryFile{}, fmt.Errorf("deployment %s cannot boot: %w", id.Short(), s.Files[i].Err)
	}
	return s.Files[i], nil
}

// rollbackReset returns to the other state of a reset that is not confirmed. It reports whether
// there is one.
func (m *Machine) rollbackReset(ctx context.Context, s machine.State) (result RollbackResult, done bool, err error) {
	reset, err := machine.ResetOf(m.Root.FS())
	if err != nil || reset.Reset == machine.NoReset {
		return result, false, err
	}
	first, _ := s.First()
	result = RollbackResult{ID: first.Target.ID, Title: first.Entry.Title, Reset: machine.ResetUndone}
	if reset.Reset == machine.ResetUndone {
		result.Reset = machine.ResetFresh
	}
	if result.DroppedStaged, err = m.unstage(); err != nil {
		return result, false, err
	}
	m.clearDiversions()
	if err := m.returnTo(ctx, s, machine.ResetRecord{Reset: result.Reset, Since: reset.Since, Boot: m.inBoot()}); err != nil {
		return result, false, fmt.Errorf("cannot return to the other state of the reset: %w", err)
	}
	kind := deployment.EventUnreset
	if result.Reset == machine.ResetFresh {
		kind = deployment.EventReset
	}
	m.rememberReset(kind, result.ID)
	return result, true, nil
}
