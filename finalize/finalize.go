package finalize

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/sysupdate-image/sysupdate-image/internal/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/durable"
	"github.com/sysupdate-image/sysupdate-image/internal/etccarry"
	"github.com/sysupdate-image/sysupdate-image/internal/sysroot"
)

// Finalize makes the staged deployment, if there is one, the next to boot. If it
// fails or is stopped at any moment before the boot entry is published, the
// machine boots what it has booted, and the next shutdown tries again.
func Finalize(m Machine) error {
	booted, mounts, err := sysroot.Booted(m.root)
	if err != nil {
		return err
	}
	s, err := sysroot.OpenWritable(m.root)
	if err != nil {
		return err
	}
	defer s.Close()
	staged, err := readStaged(s.Root)
	if err != nil {
		return err
	}
	plan, err := MakePlan(staged, booted, etccarry.Mounted(mounts))
	if err != nil {
		return err
	}
	if plan.Idle != "" {
		m.logf(logInfo, "%s: nothing to finalize", plan.Idle)
	}
	return m.apply(plan, s)
}

// apply does what the plan says, and decides nothing.
func (m Machine) apply(plan Plan, s *sysroot.Writable) error {
	if plan.Entry != "" {
		if err := m.publish(plan, s); err != nil {
			return fmt.Errorf("cannot finalize deployment %s, the next boot is the one that runs: %w", plan.Staged.Short(), err)
		}
		m.logf(logNotice, "deployment %s boots next", plan.Staged.Short())
	}
	if !plan.DropRecord {
		return nil
	}
	// Where the record of this boot is left behind, it goes with /run.
	err := m.root.Remove(deployment.RunStaged)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, durable.Remove(durable.OS(s.Root), deployment.StagedRecord))
}

// publish writes /etc and then publishes the boot entry, which is the commit.
func (m Machine) publish(plan Plan, s *sysroot.Writable) error {
	objects, unlock, err := openObjects(s.Root, busyTime)
	if err != nil {
		return err
	}
	defer unlock()
	if plan.To != "" {
		if err := m.carryEtc(plan, s.Root, objects); err != nil {
			return err
		}
	}
	// All that the deployment needs is on this file system. It has been synced
	// as it was written; the commit relies on it, so it is said once more.
	if err := durable.Syncfs(durable.OS(s.Root)); err != nil {
		return err
	}
	partition, err := m.bootPartition()
	if err != nil {
		return err
	}
	return errors.Join(partition.Publish(plan.Entry), partition.Close())
}

// carryEtc gives the staged deployment the local changes to /etc.
func (m Machine) carryEtc(plan Plan, root *os.Root, o objects) error {
	c := etccarry.Carrier{
		Sysroot:    root,
		OpenObject: o.open,
		Warn:       func(text string) { m.logf(logWarning, "%s", text) },
	}
	n, err := c.Carry(plan.from(), etccarry.Side{ID: plan.Staged, Etc: plan.To})
	if err == nil {
		m.logf(logInfo, "carried %d local changes to /etc over to %s", n, plan.Staged.Short())
	}
	return err
}

// readStaged returns the staged record, nil if there is none.
func readStaged(root *os.Root) (*deployment.Staged, error) {
	data, err := root.ReadFile(deployment.StagedRecord)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the staged record: %w", err)
	}
	staged, err := deployment.ParseStaged(data)
	return &staged, err
}
