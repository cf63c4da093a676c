package finalize

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/sysupdate-image/sysupdate-image/internal/etc/carry"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/mountplan"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/journal"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/attempts"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/records"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/sysroot"
)

// Finalize makes the staged deployment, if there is one, the next to boot. If it
// fails or is stopped at any moment before the boot entry is published, the
// machine boots what it has booted, and the next shutdown tries again. An error after
// that says that the update is in effect.
//
// Where the running system may keep running, the record stays, so that later changes to
// /etc are carried over at the next shutdown. For a soft reboot, the root of the deployment
// is prepared then, if that was asked for. A kernel that is loaded for kexec does not start
// unless the deployment is published: it may be that of the deployment, whose /etc is not
// ready.
func Finalize(m Machine, down way) error {
	s, err := m.openStaged()
	if err != nil {
		m.forgetKernel(down == kexec)
		return err
	}
	defer s.Close()
	staged := s.staged
	plan, err := MakePlan(staged, s.booted, carry.Mounted(s.mounts))
	published := false
	if err == nil {
		plan.KeepRecord, plan.ByKexec = down.goesOn(), down == kexec
		published, err = m.apply(plan, s.Writable)
	}
	m.forgetKernel(down == kexec && !published && plan.Idle == "")
	if published && down == softReboot {
		m.continueWith(plan, s)
	}
	switch {
	case err == nil || staged == nil:
		return err
	case published:
		return &leftError{staged.ID, err}
	}
	return errors.Join(notFinalized(staged.ID, err), m.noteFailure(s.Root, staged.ID, err))
}

// A leftError is what went wrong after a deployment became the next one.
type leftError struct {
	id  deployment.ID
	err error
}

func (e *leftError) Error() string {
	return "deployment " + e.id.Short() + " boots next, but cleaning up after the update failed: " + e.err.Error()
}

func (e *leftError) Unwrap() error { return e.err }

// notFinalized returns err as what kept a deployment from becoming the next one.
func notFinalized(id deployment.ID, err error) error {
	return fmt.Errorf("cannot finalize deployment %s; the running system boots next: %w", id.Short(), err)
}

// apply does what the plan says. published reports that the deployment is the next one,
// whatever the error.
func (m Machine) apply(plan Plan, s *sysroot.Writable) (published bool, err error) {
	if plan.Idle != "" {
		m.tell(plan.idleID(), journal.Info, nil, "%s: nothing to finalize", plan.Idle)
	}
	if plan.Entry != "" {
		err = m.publish(plan, s)
		_, published = errors.AsType[*boot.LeftError](err)
		published = published || err == nil
		switch {
		case errors.Is(err, errGaveUp):
			m.tell(msgGaveUp, journal.Warning, []journal.Field{about(plan.Staged)},
				"deployment %s was the next to boot, but did not: it is left to the loader", plan.Staged.Short())
			return false, m.dropRecord(s.Root)
		case !published:
			return false, err
		}
		m.tell(msgFinalized, journal.Notice, []journal.Field{about(plan.Staged)}, "deployment %s boots next", plan.Staged.Short())
		if plan.KeepRecord {
			return true, errors.Join(err, records.MarkPublished(s.FS(), m.changes(s.Root)))
		}
	}
	if plan.DropRecord {
		err = errors.Join(err, m.dropRecord(s.Root))
	}
	return published, err
}

// dropRecord forgets what is staged: the record of this boot, that which
// survives it, and why it took so long. That of this boot goes with /run where
// it is left behind.
func (m Machine) dropRecord(root *os.Root) error {
	return errors.Join(records.DropRunStaged(m.root), records.DropStaged(m.changes(root)))
}

// errGaveUp says that a published deployment has used up its boots.
var errGaveUp = errors.New("no tries are left")

// publish writes /etc and then publishes the boot entry, which is the commit.
func (m Machine) publish(plan Plan, s *sysroot.Writable) error {
	over := m.watchTermination(plan, s)
	defer over()
	partition, err := m.bootPartition()
	if err != nil {
		return err
	}
	defer partition.Close()
	if plan.Published {
		if err := checkTries(partition, plan, s.FS()); err != nil {
			return err
		}
	}
	objects, unlock, err := m.openObjects(s.Root, busyTime)
	if err != nil {
		return err
	}
	defer unlock()
	if err := m.carryEtc(plan, s.Root, objects); err != nil {
		return err
	}
	// All else that the deployment needs was synced before it was staged, and
	// what is in its /etc as it was written.
	over()
	if err := m.armAttempts(plan, s.Root, partition); err != nil {
		return err
	}
	return partition.Publish(plan.Entry)
}

// checkTries returns errGaveUp if the loader has none left for what was published.
// Another entry of the same deployment may have none since an earlier time: an image
// that has failed can be applied again.
func checkTries(p *boot.Partition, plan Plan, root fs.FS) error {
	files, err := p.Entries()
	if err != nil {
		return err
	}
	published, err := plan.entryName()
	if err != nil {
		return err
	}
	if a, err := records.LoadAttempts(root, plan.Staged); err == nil && a.Spent() && attempts.Counts(a, files) {
		return errGaveUp
	}
	for _, f := range files {
		if f.Name.Base == published.Base && f.Name.Exhausted() {
			return errGaveUp
		}
	}
	return nil
}

// carryEtc gives the staged deployment the local changes to /etc.
func (m Machine) carryEtc(plan Plan, root *os.Root, o objectsDir) error {
	c := carry.Carrier{
		Sysroot:    root,
		Booted:     plan.Booted,
		OpenObject: o.open,
		Policy:     plan.Conflicts,
		Warn:       func(text string) { m.logf(journal.Warning, "%s", text) },
	}
	report, err := c.Carry(context.Background(), plan.from(), plan.to())
	for _, conflict := range report.Conflicts {
		m.tell(msgConflicts, journal.Warning, []journal.Field{about(plan.Staged), {Name: fieldPath, Value: conflict.Path}}, "%s", conflict)
	}
	if err == nil && plan.from().HasLocal() && plan.to().HasLocal() {
		m.logf(journal.Info, "carried %d local changes to /etc over to %s", len(report.Changes), plan.Staged.Short())
	}
	return err
}

// A stagedRoot is the physical root, open for change, with what is booted and staged.
type stagedRoot struct {
	*sysroot.Writable
	staged *deployment.Staged // nil if nothing is
	booted deployment.ID
	mounts []mountplan.Mounted // of the running system
}

// openStaged opens the physical root of a machine that was booted from a deployment.
func (m Machine) openStaged() (stagedRoot, error) {
	booted, mounts, err := sysroot.Booted(m.root)
	if err != nil {
		return stagedRoot{}, err
	}
	s, err := sysroot.OpenWritable(m.root)
	if err != nil {
		return stagedRoot{}, err
	}
	staged, err := records.IfAny(records.LoadStaged(s.FS()))
	if err != nil {
		return stagedRoot{}, errors.Join(fmt.Errorf("cannot read the staged record: %w", err), s.Close())
	}
	return stagedRoot{s, staged, booted, mounts}, nil
}
