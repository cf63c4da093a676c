package health

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bootcount"
	"github.com/sysupdate-image/sysupdate-image/internal/format/bootentry"
	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/kcmdline"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/journal"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/attempts"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/records"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/sysroot"
)

// BootFailed records why a counted boot has failed, and reboots: the loader tries
// again or, after the last try, boots the previous deployment. BootFailed does nothing if
// this boot was complete before it failed.
//
// Without tries left it reboots only once: if the loader then boots the same entry,
// there is nothing to fall back to, and the machine would reboot forever.
func BootFailed(m Machine) error {
	counted, byLoader, err := attempts.OnTrial(m.root)
	if err != nil {
		return fmt.Errorf("cannot tell whether this boot is on trial: %w", err)
	}
	entry := counted.Name
	id, _, err := sysroot.Booted(m.root)
	if err != nil {
		return err
	}
	systemd := m.systemd()
	if systemd.WasActive("boot-complete.target") || m.wasBlessed(id) {
		m.logf(journal.Info, "this boot was complete before it failed: the deployment is not on trial")
		return nil
	}
	if !byLoader {
		entry.Base = m.entryBase(id)
	}
	failure := deployment.BootFailure{
		ID: id, Entry: entry.String(), BootID: m.bootID(), Time: time.Now().UTC().Format(time.RFC3339),
		Failed: systemd.FailedUnits(), Checks: m.failedChecks(id), Waiting: others(systemd.Waiting()),
	}
	m.tellBootFailed(id, cmp.Or(failure.Why(), "no unit has failed"))
	previous, err := m.record(failure)
	if err != nil {
		m.logf(journal.Err, "cannot record why the boot failed: %v", err)
	}
	known := err == nil || m.isCounted()
	what, why := afterFailure(m.onFailure(), entry, failure.BootID, previous, known)
	if !known && !byLoader && what == "reboot.target" {
		what, why = "", "staying here: without a record, the initramfs cannot count this boot either"
	}
	m.logf(journal.Notice, "%s", why)
	if what == "" {
		return nil
	}
	return systemd.Start(what)
}

// wasBlessed reports whether the deployment has proved itself since the kernel was started,
// perhaps before a soft reboot: what the loader said of its trial is over.
func (m Machine) wasBlessed(id deployment.ID) bool {
	_, err := m.root.Stat(id.RunBlessed())
	return err == nil
}

// isCounted reports whether the initramfs has counted this boot. Then another one ends
// differently some time, even if nothing can be recorded: a full disk does not stop the count.
func (m Machine) isCounted() bool {
	_, a, err := attempts.OfBooted(m.root)
	return err == nil && a.Trial && a.Boot != "" && strings.ReplaceAll(a.Boot, "-", "") == m.bootID()
}

// failedChecks returns the checks of this boot of a deployment that have failed, and the one
// that did not come to an end.
func (m Machine) failedChecks(id deployment.ID) []deployment.FailedCheck {
	h, err := records.IfAny(records.LoadHealth(m.root.FS()))
	if err != nil {
		m.logf(journal.Warning, "cannot tell which checks failed: %v", err)
	}
	if h == nil || h.ID != id || h.BootID != m.bootID() {
		return nil
	}
	if h.Running != "" {
		return append(h.Failed, deployment.FailedCheck{Path: h.Running, Result: deployment.UnfinishedCheck})
	}
	return h.Failed
}

// entryBase returns the name of a deployment's entry without tries, or its id if that cannot
// be found out.
func (m Machine) entryBase(id deployment.ID) string {
	partition, err := m.bootPartition()
	if err != nil {
		return string(id)
	}
	defer partition.Close()
	files, err := partition.Entries()
	if err != nil {
		return string(id)
	}
	return baseOf(files, id)
}

// others returns the units that are not the one that runs BootFailed.
func others(units []string) []string {
	return slices.DeleteFunc(units, func(name string) bool { return name == bootFailedService })
}

// record durably writes the failure, with the end of the journal, and returns the previous
// one, nil if there is none.
func (m Machine) record(f deployment.BootFailure) (*deployment.BootFailure, error) {
	s, err := sysroot.OpenWritable(m.root)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	previous, err := records.IfAny(records.LoadBootFailure(s.FS(), f.ID))
	if err != nil && !errors.Is(err, records.ErrDamaged) {
		return nil, err
	}
	changes := m.changes(s.Root)
	if err := records.StoreBootFailure(changes, f); err != nil {
		return previous, err
	}
	m.remember(s, deployment.Event{Kind: deployment.EventFailed, ID: f.ID, Reason: cmp.Or(f.Why(), f.Reason)})
	// The journal is often in memory alone, and gone with this boot. What it says helps,
	// but the reason is recorded without it.
	text, err := m.systemd().LastOfJournal(deployment.JournalLines)
	if err == nil {
		err = records.StoreBootJournal(changes, f.ID, deployment.Last(f.BootID, text))
	}
	if err != nil {
		m.logf(journal.Warning, "cannot keep the journal of this boot: %v", err)
	}
	return previous, nil
}

func (m Machine) onFailure() bootcount.Policy {
	data, err := bounded.ReadRoot(m.root, "proc/cmdline", limits.Kernel)
	if err != nil {
		return ""
	}
	return bootcount.PolicyOf(kcmdline.Parse(string(data)))
}

// afterFailure returns the target to start, "" for none, and why. recorded says
// that the next failure will see this one.
func afterFailure(
	onFailure bootcount.Policy, entry bootentry.Name, bootID string, previous *deployment.BootFailure, recorded bool,
) (target, why string) {
	switch onFailure {
	case bootcount.PowerOff:
		return "poweroff.target", "powering off, as the kernel command line says"
	case bootcount.Emergency:
		return "", "staying here, as the kernel command line says"
	}
	if entry.TriesLeft > 0 {
		return "reboot.target", fmt.Sprintf("rebooting; tries left: %d", entry.TriesLeft)
	}
	if previous != nil && previous.BootID != bootID {
		before, err := bootentry.ParseName(previous.Entry)
		if err == nil && before.Base == entry.Base && before.Exhausted() {
			return "", "staying here: no tries are left, and the loader found no other deployment to boot"
		}
	}
	if !recorded {
		return "", "staying here: no tries are left, and a reboot might lead here again"
	}
	return "reboot.target", "rebooting into the previous deployment: no tries are left"
}
