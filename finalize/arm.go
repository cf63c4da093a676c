package finalize

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/journal"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/records"
)

// Arm is what the unit does when it starts: it says what the coming shutdown
// will do. Where a boot begins with a deployment that is still staged, it counts
// that boot and says why; where the deployment that was staged runs by now, it
// drops the record, which a crash had left behind.
func Arm(m Machine) error {
	s, err := m.openStaged()
	if err != nil {
		return err
	}
	defer s.Close()
	staged := s.staged
	switch {
	case staged == nil:
		return nil
	case staged.ID == s.booted:
		m.logf(journal.Info, "deployment %s was staged, and runs", staged.ID.Short())
		return m.dropRecord(s.Root)
	}
	err = m.restoreRunRecord(*staged)
	if m.sameBoot(staged.BootID) || staged.FinalizationLocked {
		m.tellArmed(*staged)
		return err
	}
	overdue, countErr := m.countBoot(s.Root, staged.ID)
	m.rememberUnfinished(s.Root, overdue)
	m.tellRearmed(*staged, overdue)
	return errors.Join(err, countErr)
}

// sameBoot reports whether a boot id, in either way to write it, is that of this boot.
func (m Machine) sameBoot(id string) bool {
	return strings.ReplaceAll(id, "-", "") == m.bootID()
}

// restoreRunRecord writes the record that bootc reads, and that a reboot removes.
func (m Machine) restoreRunRecord(staged deployment.Staged) error {
	if _, err := m.root.Lstat(deployment.RunStaged); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return records.StoreRunStaged(m.changes(m.root), staged)
}

func (m Machine) tellArmed(staged deployment.Staged) {
	fields := []journal.Field{about(staged.ID)}
	switch {
	case staged.FinalizationLocked:
		m.tell(msgArmed, journal.Info, fields, "deployment %s is staged, and locked: it does not take over", staged.ID.Short())
	case staged.Published:
		m.tell(msgArmed, journal.Info, fields,
			"deployment %s boots next; what changes in /etc until then is carried over at shutdown", staged.ID.Short())
	default:
		m.tell(msgArmed, journal.Info, fields, "deployment %s is staged: it takes over when this system shuts down", staged.ID.Short())
	}
}

// rememberUnfinished adds to the history that finalize failed at an earlier shutdown, once. A
// shutdown has no time for that, and often no room.
func (m Machine) rememberUnfinished(root *os.Root, overdue deployment.Overdue) {
	h, err := records.LoadHistory(root.FS())
	if overdue.Error == "" || err == nil && h.ToldUnfinished(overdue.ID, overdue.ErrorTime) {
		return
	}
	e := deployment.Event{Kind: deployment.EventUnfinished, ID: overdue.ID, Time: overdue.ErrorTime, Reason: overdue.Error}
	if o, err := records.LoadOrigin(root.FS(), overdue.ID); err == nil {
		e.Version = o.Version
	}
	if err := records.AddEvent(root, m.changes(root), e); err != nil {
		m.logf(journal.Warning, "%v", err)
	}
}

func (m Machine) tellRearmed(staged deployment.Staged, overdue deployment.Overdue) {
	fields := []journal.Field{about(staged.ID)}
	why := "the machine went down without a shutdown"
	switch {
	case staged.Published:
		why = "it was published, but another one was booted"
	case overdue.Error != "":
		why = "finalize failed: " + overdue.Error
		fields = append(fields, journal.Field{Name: fieldError, Value: why})
	}
	m.tell(msgRearmed, journal.Warning, fields,
		"deployment %s is still staged, and takes over when this system shuts down: %s", staged.ID.Short(), why)
}

// countBoot counts this boot in the record of why the deployment is overdue, and
// returns that.
func (m Machine) countBoot(root *os.Root, id deployment.ID) (deployment.Overdue, error) {
	o, err := readOverdue(root, id)
	if err != nil || o.BootID != "" && o.BootID == m.bootID() {
		return o, err
	}
	o.Boots++
	o.BootID = m.bootID()
	return o, records.StoreOverdue(m.changes(root), o)
}

// noteFailure records why the deployment was not finalized, for status after the next
// boot.
func (m Machine) noteFailure(root *os.Root, id deployment.ID, failure error) error {
	o, err := readOverdue(root, id)
	if err != nil {
		m.logf(journal.Warning, "%v", err) // this one is newer
		o = deployment.Overdue{ID: id}
	}
	o.Error = strings.ReplaceAll(failure.Error(), "\n", "; ")
	o.ErrorTime, o.ErrorBootID = time.Now().UTC().Format(time.RFC3339), m.bootID()
	return records.StoreOverdue(m.changes(root), o)
}

// readOverdue returns the record of why a deployment is overdue, or an empty one.
func readOverdue(root *os.Root, id deployment.ID) (deployment.Overdue, error) {
	o, err := records.IfAny(records.LoadOverdue(root.FS(), id))
	if err != nil || o == nil {
		return deployment.Overdue{ID: id}, err
	}
	return *o, nil
}
