package update

import (
	"context"
	"errors"
	"slices"

	"github.com/sysupdate-image/sysupdate-image/internal/boot"
	"github.com/sysupdate-image/sysupdate-image/internal/deployment"
)

// ErrNoRollback says that there is no other deployment to go back to.
var ErrNoRollback = errors.New("there is no other deployment to go back to")

// A RollbackResult says what boots next.
type RollbackResult struct {
	ID            deployment.ID
	Title         string
	DroppedStaged deployment.ID // "" if nothing was staged
}

// Rollback makes the deployment before the current one the next to boot, or the
// booted one if another was the next. What was staged is dropped. The change is
// one rename; its /etc is as that deployment left it.
func (m *Machine) Rollback(ctx context.Context) (RollbackResult, error) {
	files, err := m.entries()
	if err != nil {
		return RollbackResult{}, err
	}
	target, ok := rollbackTarget(files, m.booted)
	if !ok {
		return RollbackResult{}, ErrNoRollback
	}
	if err := ctx.Err(); err != nil {
		return RollbackResult{}, err
	}
	dropped, err := m.unstage()
	if err != nil {
		return RollbackResult{}, err
	}
	if _, err := m.boot.Rollback(target.Target.ID); err != nil {
		return RollbackResult{}, err
	}
	return RollbackResult{ID: target.Target.ID, Title: target.Entry.Title, DroppedStaged: dropped}, nil
}

// rollbackTarget returns the entry to go back to: the booted deployment's if
// another is first, else the best of the others. One that has used up its boots
// is no place to go back to.
func rollbackTarget(files []boot.EntryFile, booted deployment.ID) (boot.EntryFile, bool) {
	next, ok := firstDeployment(files)
	if !ok {
		return boot.EntryFile{}, false
	}
	suits := func(f boot.EntryFile) bool {
		return f.Bootable() && f.IsDeployment() && !f.Name.Exhausted() && f.Target.ID != next.Target.ID
	}
	if booted != "" && booted != next.Target.ID {
		suits = func(f boot.EntryFile) bool { return f.Bootable() && f.Target.ID == booted }
	}
	i := slices.IndexFunc(files, suits)
	if i < 0 {
		return boot.EntryFile{}, false
	}
	return files[i], true
}
