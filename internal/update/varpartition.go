package update

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/partdev"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/records"
)

// PutVarOn puts /var of a machine that is being installed on a partition. Its file system is top,
// which is the caller's and stays open as long as the machine.
func (m *Machine) PutVarOn(v deployment.VarPartition, top *os.Root) (err error) {
	if m.newVar, err = freshVarDir(v, top); err != nil {
		return err
	}
	m.Until(m.newVar.Close)
	return records.StoreVarPartition(m.Changes, v)
}

// freshVarDir makes the directory for a fresh /var. What a reset that was cut off has left there
// is removed.
func freshVarDir(v deployment.VarPartition, top *os.Root) (*os.Root, error) {
	changes := durable.Unsynced(durable.OS(top))
	if err := durable.RemoveAll(changes, v.Dir); err != nil {
		return nil, err
	}
	if err := durable.MkdirAll(changes, v.Dir, 0o755); err != nil {
		return nil, err
	}
	return top.OpenRoot(v.Dir)
}

// varPartition returns the partition that /var is on, nil if it is on the root file system.
func (m *Machine) varPartition() (*deployment.VarPartition, error) {
	return records.IfAny(records.LoadVarPartition(m.Root.FS()))
}

// otherVarPartition is varPartition for the state that does not count.
func (m *Machine) otherVarPartition() (*deployment.VarPartition, error) {
	root, err := m.Root.OpenRoot(deployment.OtherDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return records.IfAny(records.LoadVarPartition(root.FS()))
}

// openVarPartition mounts the file system of a partition where nobody else sees it. It has to be on
// the disk of the root: if the machine is a copy of the running one, another disk has a partition
// with the same UUID. The caller calls end.
func (m *Machine) openVarPartition(v deployment.VarPartition) (top *os.Root, end func() error, err error) {
	dir := m.Root.Name()
	if m.Booted != "" {
		dir = deployment.SysrootDir // where the mount table has it
	}
	root, err := partdev.DeviceOf(dir)
	if err == nil && root == "" {
		err = errors.New("cannot tell which disk the root is on")
	}
	var device string
	if err == nil {
		device, err = partdev.Host().Find(v.PartUUID, root)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("cannot find the partition of /var: %w", err)
	}
	mount, err := sys.Detached(v.FileSystem, 0, sys.MountString("source", device))
	if err != nil {
		return nil, nil, fmt.Errorf("cannot mount the partition of /var, %s: %w", device, err)
	}
	top, err = os.OpenRoot(fmt.Sprintf("/proc/self/fd/%d", mount.Fd()))
	if err != nil {
		return nil, nil, errors.Join(err, mount.Close())
	}
	return top, func() error { return errors.Join(top.Close(), mount.Close()) }, nil
}

// freshVar gives the state that a reset makes a directory of its own on the partition of /var, if
// there is one. Until the states change places, nothing leads to it. The caller calls end, which
// syncs what was written.
func (m *Machine) freshVar(fresh *Machine) (end func() error, err error) {
	v, err := m.varPartition()
	if v == nil || err != nil {
		return func() error { return nil }, err
	}
	top, unmount, err := m.openVarPartition(*v)
	if err != nil {
		return nil, err
	}
	next := v.Fresh()
	if fresh.newVar, err = freshVarDir(next, top); err != nil {
		return nil, errors.Join(err, unmount())
	}
	end = func() error {
		return errors.Join(durable.Syncfs(durable.OS(top)), fresh.newVar.Close(), unmount())
	}
	if err := records.StoreVarPartition(fresh.Changes, next); err != nil {
		return nil, errors.Join(err, end())
	}
	return end, nil
}

// removeVar removes the /var of a state that no longer counts from the partition of /var.
func (m *Machine) removeVar(other *deployment.VarPartition) error {
	current, err := m.varPartition()
	if other == nil || err != nil {
		return err
	}
	if current != nil && *current == *other {
		return fmt.Errorf("both states have the same directory on the partition of /var: %w", fs.ErrInvalid)
	}
	top, end, err := m.openVarPartition(*other)
	if err != nil {
		return err
	}
	return errors.Join(durable.RemoveAll(durable.OS(top), other.Dir), end())
}
