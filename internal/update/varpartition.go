package update

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/mountplan"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/partdev"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/records"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/sysroot"
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

// A varTop is the top directory of a partition of /var, mounted where nobody else sees it.
type varTop struct {
	*os.Root
	device string // its node
	mount  io.Closer
}

func (t varTop) Close() error { return errors.Join(t.Root.Close(), t.mount.Close()) }

// mountVar mounts a partition of /var. It has to be on the disk of the root: if the machine is a
// copy of the running one, another disk has a partition with the same UUID.
func (m *Machine) mountVar(v deployment.VarPartition) (varTop, error) {
	device, err := m.findVar(v)
	if err != nil {
		return varTop{}, fmt.Errorf("cannot find the partition of /var: %w", err)
	}
	mount, err := sys.Detached(v.FileSystem, 0, sys.MountString("source", device))
	if err != nil {
		return varTop{}, fmt.Errorf("cannot mount the partition of /var, %s: %w", device, err)
	}
	top, err := os.OpenRoot(fmt.Sprintf("/proc/self/fd/%d", mount.Fd()))
	if err != nil {
		return varTop{}, errors.Join(err, mount.Close())
	}
	return varTop{top, device, mount}, nil
}

// findVar returns the node of a partition of /var.
func (m *Machine) findVar(v deployment.VarPartition) (string, error) {
	dir := m.Root.Name()
	if m.Booted != "" {
		dir = deployment.SysrootDir // where the mount table has it
	}
	root, err := partdev.DeviceOf(dir)
	if err != nil {
		return "", err
	}
	if root == "" {
		return "", errors.New("cannot tell which disk the root is on")
	}
	return partdev.Host().Find(v.PartUUID, root)
}

// openOtherVar opens the partition of /var to remove a directory that the state which counts does
// not use. Nothing but a damaged record could name one that it uses, or the running system.
func (m *Machine) openOtherVar(v deployment.VarPartition) (varTop, error) {
	current, err := m.varPartition()
	if err != nil {
		return varTop{}, err
	}
	if current != nil && current.PartUUID == v.PartUUID && current.Dir == v.Dir {
		return varTop{}, errors.New("both states have the same directory on the partition of /var")
	}
	top, err := m.openVar(v)
	if err != nil {
		return varTop{}, err
	}
	if err := m.checkUnused(top, v.Dir); err != nil {
		return varTop{}, errors.Join(err, top.Close())
	}
	return top, nil
}

// checkUnused refuses a directory that the running system has its /var in.
func (m *Machine) checkUnused(top varTop, dir string) error {
	_, mounts, err := sysroot.Booted(m.Host)
	if err != nil && !errors.Is(err, sysroot.ErrNotBooted) { // which comes with the mounts, too
		return err
	}
	if top.isMounted(mounts, dir) {
		return fmt.Errorf("cannot remove %s on %s: the running system has its /var there, whatever the records say", dir, top.device)
	}
	return nil
}

// isMounted reports whether a directory of the partition, or one below it, is mounted.
func (t varTop) isMounted(mounts []mountplan.Mounted, dir string) bool {
	number := ""
	if major, minor, err := sys.BlockDevice(t.device); err == nil { // not so for btrfs
		number = fmt.Sprintf("%d:%d", major, minor)
	}
	for _, m := range mounts {
		if (m.What == t.device || m.Device == number) && strings.HasPrefix(m.Root+"/", "/"+dir+"/") {
			return true
		}
	}
	return false
}

// freshVar gives the state that a reset makes a directory of its own on the partition of /var, if
// there is one. Until the states change places, nothing leads to it. The caller calls end, which
// syncs what was written.
func (m *Machine) freshVar(fresh *Machine) (end func() error, err error) {
	v, err := m.varPartition()
	if v == nil || err != nil {
		return func() error { return nil }, err
	}
	next := v.Fresh()
	top, err := m.openOtherVar(next)
	if err != nil {
		return nil, err
	}
	if fresh.newVar, err = freshVarDir(next, top.Root); err != nil {
		return nil, errors.Join(err, top.Close())
	}
	end = func() error {
		return errors.Join(durable.Syncfs(durable.OS(top.Root)), fresh.newVar.Close(), top.Close())
	}
	if err := records.StoreVarPartition(fresh.Changes, next); err != nil {
		return nil, errors.Join(err, end())
	}
	return end, nil
}

// A keptVar is the /var of the state that does not count, on its partition. The zero value is that
// of a machine without one.
type keptVar struct {
	top varTop
	dir string
}

// otherVar opens the /var of the state that does not count. The caller removes it.
func (m *Machine) otherVar() (keptVar, error) {
	v, err := m.otherVarPartition()
	if v == nil || err != nil {
		return keptVar{}, err
	}
	top, err := m.openOtherVar(*v)
	if err != nil {
		return keptVar{}, err
	}
	return keptVar{top, v.Dir}, nil
}

func (k keptVar) Close() error {
	if k.dir == "" {
		return nil
	}
	return k.top.Close()
}

// remove removes and closes it.
func (k keptVar) remove(ctx context.Context) error {
	if k.dir == "" {
		return nil
	}
	return errors.Join(durable.RemoveAll(durable.Until(ctx, durable.OS(k.top.Root)), k.dir), k.Close())
}

// besideVar lists what is beside the shared /var: the overlay's work directories. The running
// system has the partition of /var there, which those who change the root do not see.
func (m *Machine) besideVar() ([]fs.DirEntry, error) {
	v, err := m.varPartition()
	if err != nil {
		return nil, err
	}
	if v != nil && m.Booted != "" {
		return fs.ReadDir(m.Host.FS(), strings.TrimPrefix(path.Join(deployment.SysrootDir, deployment.VarParent), "/"))
	}
	return fs.ReadDir(m.Root.FS(), deployment.VarParent)
}

// removeVarWork removes a name that besideVar has listed.
func (m *Machine) removeVarWork(ctx context.Context, name string) error {
	v, err := m.varPartition()
	if err != nil {
		return err
	}
	if v == nil || m.Booted == "" {
		return durable.RemoveAll(durable.Until(ctx, durable.Unsynced(m.Changes)), name)
	}
	top, err := m.openVar(*v)
	if err != nil {
		return err
	}
	below := path.Join(v.Dir, strings.TrimPrefix(name, deployment.VarParent))
	return errors.Join(durable.RemoveAll(durable.Until(ctx, durable.Unsynced(durable.OS(top.Root))), below), top.Close())
}
