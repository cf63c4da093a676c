package update

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
)

// ErrNoRollback says that there is no other deployment to go back to.
var ErrNoRollback = errors.New("there is no other deployment to go back to")

// A RollbackResult says what boots next.
type RollbackResult struct {
	ID            deployment.ID
	Title         string
	Already       bool          // it was the next before
	DroppedStaged deployment.ID // "" if nothing was staged
}

// Rollback makes a deployment the next to boot: the one that name stands for, as
// for Find, or for "" the one before the current one, or the booted one if
// another was the next. What was staged is dropped. The change is one rename;
// its /etc is as that deployment left it.
func (m *Machine) Rollback(ctx context.Context, name string) (RollbackResult, error) {
	v, err := m.inventory()
	if err != nil {
		return RollbackResult{}, err
	}
	target, err := v.rollbackTo(name)
	if err != nil {
		return RollbackResult{}, err
	}
	id := target.Target.ID
	result := RollbackResult{ID: id, Title: target.Entry.Title}
	if id == v.staged {
		result.Already = true
		return result, nil
	}
	if err := ctx.Err(); err != nil {
		return RollbackResult{}, err
	}
	if result.DroppedStaged, err = m.unstage(); err != nil {
		return RollbackResult{}, err
	}
	result.Already = id == v.next() && !target.Name.Exhausted()
	if _, err := m.boot.Rollback(id); err != nil {
		return RollbackResult{}, err
	}
	return result, nil
}

// rollbackTo returns the entry of the deployment to go back to.
func (v inventory) rollbackTo(name string) (boot.EntryFile, error) {
	if name == "" {
		return v.rollbackTarget()
	}
	id, err := v.find(name)
	if err != nil {
		return boot.EntryFile{}, err
	}
	i := slices.IndexFunc(v.files, func(f boot.EntryFile) bool { return f.Target.ID == id })
	switch {
	case v.broken[id]:
		return boot.EntryFile{}, fmt.Errorf("deployment %s cannot boot: its image is missing or damaged, see sysupdate-image repo fsck", id.Short())
	case i < 0:
		return boot.EntryFile{}, fmt.Errorf("deployment %s has no boot entry: apply its image again", id.Short())
	case v.files[i].Err != nil:
		return boot.EntryFile{}, fmt.Errorf("deployment %s cannot boot: %w", id.Short(), v.files[i].Err)
	}
	return v.files[i], nil
}

// rollbackTarget returns the entry to go back to if none is named: the booted
// deployment's if another is first, else the best of the others. One that has
// used up its boots is no place to go back to.
func (v inventory) rollbackTarget() (boot.EntryFile, error) {
	next := v.next()
	suits := func(f boot.EntryFile) bool {
		return f.Bootable() && f.IsDeployment() && !f.Name.Exhausted() && f.Target.ID != next && !v.broken[f.Target.ID]
	}
	// What never proved itself is no way back while there is something that did.
	i := slices.IndexFunc(v.files, func(f boot.EntryFile) bool { return suits(f) && f.Good() })
	if v.booted != "" && v.booted != next {
		i = -1
		suits = func(f boot.EntryFile) bool { return f.Bootable() && f.Target.ID == v.booted }
	}
	if i < 0 {
		i = slices.IndexFunc(v.files, suits)
	}
	if i < 0 || next == "" {
		return boot.EntryFile{}, ErrNoRollback
	}
	return v.files[i], nil
}
