package finalize

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/sysupdate-image/sysupdate-image/internal/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/durable"
)

// Finalize makes the staged deployment, if there is one, the next to boot. If it
// fails or is stopped at any moment before the boot entry is published, the
// machine boots what it has booted, and the next shutdown tries again.
func Finalize(m Machine) error {
	booted, mounts, err := m.booted()
	if err != nil {
		return err
	}
	s, err := m.openSysroot()
	if err != nil {
		return err
	}
	defer s.Close()
	staged, err := s.staged()
	if err != nil {
		return err
	}
	plan, err := MakePlan(staged, booted, etcKind(mounts))
	if err != nil {
		return err
	}
	if plan.Idle != "" {
		m.logf(logInfo, "%s: nothing to finalize", plan.Idle)
	}
	return m.apply(plan, s)
}

// apply does what the plan says, and decides nothing.
func (m Machine) apply(plan Plan, s *sysroot) error {
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
func (m Machine) publish(plan Plan, s *sysroot) error {
	objects, unlock, err := s.openObjects(busyTime)
	if err != nil {
		return err
	}
	defer unlock()
	if plan.To != "" {
		c := etcCarrier{Machine: m, sysroot: s.Root, objects: objects, plan: plan}
		if err := c.carry(); err != nil {
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

// staged returns the staged record, nil if there is none.
func (s *sysroot) staged() (*deployment.Staged, error) {
	data, err := s.ReadFile(deployment.StagedRecord)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the staged record: %w", err)
	}
	staged, err := deployment.ParseStaged(data)
	return &staged, err
}
