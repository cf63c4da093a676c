package update

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"

	"github.com/sysupdate-image/sysupdate-image/internal/etc/carry"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
	"github.com/sysupdate-image/sysupdate-image/internal/machine"
)

// newRecords is where the records of the other state are made.
const newRecords = deployment.OtherDir + "/" + deployment.StateDir + ".new"

// returnTo lets the state of a machine and the other one, of which next tells, change places.
// The records, such as of what is on the boot partition, are those of now.
func (m *Machine) returnTo(ctx context.Context, s machine.State, next machine.ResetRecord) error {
	if err := m.completeOther(ctx, s); err != nil {
		return err
	}
	if err := durable.RemoveAll(m.Changes, newRecords); err != nil {
		return err
	}
	if err := m.copyRecords(m.Changes, deployment.StateDir, newRecords); err != nil {
		return err
	}
	if err := durable.WriteFile(m.Changes, path.Join(newRecords, path.Base(deployment.ResetRecord)), next.Bytes()); err != nil {
		return err
	}
	const records = deployment.OtherDir + "/" + deployment.StateDir
	if err := durable.MkdirAll(m.Changes, records, 0o755); err != nil {
		return err
	}
	if err := durable.Exchange(m.Changes, newRecords, records); err != nil {
		return err
	}
	if err := durable.RemoveAll(m.Changes, newRecords); err != nil {
		return err
	}
	if err := durable.Syncfs(m.Changes); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return durable.Exchange(m.Changes, deployment.StateRoot, deployment.OtherState)
}

// completeOther gives the other state what it lacks of the deployments that there are by now: those
// that were made since, and where all of them came from and how often they may be tried.
func (m *Machine) completeOther(ctx context.Context, s machine.State) error {
	other, end, err := m.at(deployment.OtherDir)
	if err != nil {
		return err
	}
	defer end()
	dirs := slices.DeleteFunc(slices.Clone(s.Dirs), func(id deployment.ID) bool { return s.Broken[id] })
	old := slices.DeleteFunc(slices.Clone(dirs), func(id deployment.ID) bool { return !other.isWhole(id) })
	for _, id := range dirs {
		if slices.Contains(old, id) {
			continue
		}
		if err := m.addToOther(ctx, other, id, firstOf(s, old)); err != nil {
			return fmt.Errorf("deployment %s: %w", id.Short(), err)
		}
	}
	if err := durable.Syncfs(m.Changes); err != nil { // before the origins, which make them whole
		return err
	}
	for _, id := range dirs {
		if err := m.copyDeploymentRecords(id); err != nil {
			return fmt.Errorf("deployment %s: %w", id.Short(), err)
		}
	}
	return nil
}

// isWhole reports whether a state has all of a deployment: its origin is written last.
func (m *Machine) isWhole(id deployment.ID) bool {
	_, err := m.Root.Lstat(id.OriginFile())
	return err == nil
}

// firstOf returns the deployment of some that the boot loader lists first, "" if it lists none.
func firstOf(s machine.State, some []deployment.ID) deployment.ID {
	for _, f := range s.Files {
		if slices.Contains(some, f.Target.ID) {
			return f.Target.ID
		}
	}
	return ""
}

// addToOther makes a deployment in the other state, with the local changes to /etc that another
// one has there. Its origin is still missing.
func (m *Machine) addToOther(ctx context.Context, other *Machine, id, from deployment.ID) error {
	mode, err := carry.OnDisk(m.Root, id)
	if err != nil {
		return err
	}
	system, err := m.systemOf(ctx, id)
	if err != nil {
		return err
	}
	if err := other.makeState(ctx, candidate{System: system, id: id}); err != nil {
		return err
	}
	to := carry.Side{ID: id, Etc: mode}
	if from == "" {
		return other.carrier("").TakeOver(ctx, to, carry.TakeOver{Fresh: true, Files: noFiles})
	}
	if mode, err = carry.OnDisk(other.Root, from); err != nil {
		return err
	}
	_, err = other.carrier(deployment.ConflictsKeep).Carry(ctx, carry.Side{ID: from, Etc: mode}, to)
	return err
}

// copyDeploymentRecords has the other state tell the same of a deployment, apart from what is
// its state.
func (m *Machine) copyDeploymentRecords(id deployment.ID) error {
	for _, name := range []string{id.OriginFile(), id.AttemptsFile()} {
		as := path.Join(deployment.OtherDir, name)
		err := m.copyRecordAs(m.Changes, name, as)
		if errors.Is(err, fs.ErrNotExist) {
			err = durable.Remove(m.Changes, as)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// ErrResetInUse says that the running system still uses the state that no longer counts.
var ErrResetInUse = errors.New("cannot remove the state that is kept: the running system uses it until the next reboot")

// ConfirmReset removes the state that a reset has kept, or after a rollback the fresh one. Without
// the record, what is left of it counts for nothing.
func (m *Machine) ConfirmReset(r Reporter) (machine.Reset, error) {
	record, err := machine.ResetOf(m.Root.FS())
	reset := record.Reset
	switch {
	case err != nil:
		return reset, err
	case reset == machine.NoReset:
		return reset, ErrNoReset
	case m.Booted != "" && record.Boot == bootID():
		return reset, ErrResetInUse
	}
	r.Step("Removing the state that was kept")
	kept, err := m.otherVar() // before the first change: its partition may be missing
	if err != nil {
		return reset, err
	}
	if err := durable.Remove(m.Changes, deployment.ResetRecord); err != nil {
		return reset, errors.Join(err, kept.Close())
	}
	// If this is cut off, prune removes what is left of it.
	if err := kept.remove(context.Background()); err != nil {
		return reset, err
	}
	return reset, durable.RemoveAll(m.Changes, deployment.OtherDir)
}
