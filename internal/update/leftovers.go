package update

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
	"github.com/sysupdate-image/sysupdate-image/internal/machine"
)

// leftovers returns what is on the root file system, outside the repository,
// that belongs to none of the deployments to keep: their state directories,
// records of failures that are old, and files that a crash left being written.
func (m *Machine) leftovers(keep []deployment.ID) ([]string, error) {
	s, err := m.readState()
	if err != nil {
		return nil, err
	}
	var names []string
	// Beside the state directories of deployments there may be what is not ours.
	dirs := []string{deployment.StateDir, deployment.PinsDir, deployment.VarParent}
	for _, id := range s.Dirs {
		if slices.Contains(keep, id) {
			dirs = append(dirs, id.Dir())
		} else {
			names = append(names, id.Dir())
		}
	}
	for _, dir := range dirs {
		unfinished, err := m.unfinished(dir)
		if err != nil {
			return nil, err
		}
		names = append(names, unfinished...)
	}
	work, err := m.oldVarWork(s.Booted)
	if err != nil {
		return nil, err
	}
	old, err := m.oldFailures(keep)
	if err != nil {
		return nil, err
	}
	if reset, err := machine.ResetOf(m.Root.FS()); err != nil {
		return nil, err
	} else if _, errStat := m.Root.Lstat(deployment.OtherDir); errStat == nil && reset.Reset == machine.NoReset {
		names = append(names, deployment.OtherDir) // of a reset that was cut off, or confirmed
	}
	return append(append(names, work...), old...), nil
}

// oldVarWork returns the work directories of overlays at /var that soft reboots have left,
// and the running system does not use.
func (m *Machine) oldVarWork(booted deployment.ID) (names []string, err error) {
	dir, prefix := path.Split(deployment.VarWork + "-")
	list, err := m.besideVar()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for _, d := range list {
		if id, ok := strings.CutPrefix(d.Name(), prefix); ok && id != booted.Short() {
			names = append(names, dir+d.Name())
		}
	}
	return names, err
}

// removeLeftover removes a name that leftovers has returned.
func (m *Machine) removeLeftover(ctx context.Context, name string) error {
	if strings.HasPrefix(name, deployment.VarWork) {
		return m.removeVarWork(ctx, name)
	}
	if name == deployment.OtherDir { // it leads to what is on the partition of /var, so it goes after that
		kept, err := m.otherVar()
		if err == nil {
			err = kept.remove(ctx)
		}
		if err != nil {
			m.warn(fmt.Errorf("keeping what is left of a reset in /%s: %w", name, err))
			return ctx.Err()
		}
	}
	return durable.RemoveAll(durable.Until(ctx, durable.Unsynced(m.Changes)), name)
}

// unfinished returns the files in dir that were being written. What is called
// so in /var or /etc is not ours, and not looked at.
func (m *Machine) unfinished(dir string) ([]string, error) {
	list, err := fs.ReadDir(m.Root.FS(), dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var names []string
	for _, d := range list {
		if strings.HasSuffix(d.Name(), durable.TempSuffix) {
			names = append(names, path.Join(dir, d.Name()))
		}
	}
	return names, err
}
