package finalize

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bootcount"
	"github.com/sysupdate-image/sysupdate-image/internal/format/bootentry"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/journal"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/attempts"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/records"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/sysroot"
)

// blessService is the unit that runs Bless.
const blessService = "systemd-bless-boot.service"

// Bless makes the boot entry of a boot on trial a good one, also where the boot
// partition is not mounted, and ends the count of the initramfs before. What keeps it from
// that is recorded for status.
//
// A boot that another kernel started leaves the deployment on trial, unless kexecProves: the
// boot loader has still to show that it can boot it.
func Bless(m Machine, kexecProves bool) error {
	if !kexecProves && bootcount.ByKexec(m.root.FS()) {
		if kept, err := m.keepOnTrial(); kept || err != nil {
			return err
		}
	}
	entry, byLoader, err := attempts.OnTrial(m.root)
	recordErr := m.blessAttempts()
	switch {
	case errors.Is(err, fs.ErrNotExist) && recordErr == nil && m.isRecorded():
		return m.noteBlessed() // its failures in the initramfs are forgotten
	case err != nil:
		return errors.Join(fmt.Errorf("cannot tell whether this boot is on trial: %w", err), recordErr)
	case recordErr == nil && entry.UKI: // systemd blesses that
		m.rememberBlessed()
		return nil
	case recordErr == nil && !byLoader:
		recordErr = m.blessUncounted()
	case recordErr == nil:
		recordErr = m.bless(entry.Name)
	}
	if recordErr != nil {
		return errors.Join(fmt.Errorf("cannot bless boot entry %s: %w", entry.Name, recordErr), m.noteUnblessed(entry.Name, recordErr))
	}
	m.rememberBlessed()
	return nil
}

// rememberBlessed adds to the history that the booted deployment has proved itself, and tells
// the journal, once: the unit also runs after a soft reboot, and when somebody starts it again.
// That it has is settled: what goes wrong here is only told.
func (m Machine) rememberBlessed() {
	id, _, err := sysroot.Booted(m.root)
	if err != nil {
		return
	}
	s, err := sysroot.OpenWritable(m.root)
	if err == nil {
		defer s.Close()
		if h, err := records.LoadHistory(s.FS()); err == nil && h.ToldBlessed(id) {
			return
		}
		e := deployment.Event{Kind: deployment.EventBlessed, ID: id}
		if o, err := records.LoadOrigin(s.FS(), id); err == nil {
			e.Version = o.Version
		}
		err = records.AddEvent(s.Root, m.changes(s.Root), e)
	}
	m.tell(msgBlessed, journal.Info, []journal.Field{about(id)}, "deployment %s has proved itself", id.Short())
	if err != nil {
		m.logf(journal.Warning, "%v", err)
	}
}

// isRecorded reports whether the booted deployment has a record of its boots.
func (m Machine) isRecorded() bool {
	_, _, err := attempts.OfBooted(m.root)
	return err == nil
}

func (m Machine) bless(entry bootentry.Name) error {
	partition, err := m.bootPartition()
	if err != nil {
		return err
	}
	defer partition.Close()
	if err = partition.Bless(entry); errors.Is(err, boot.ErrNoEntry) {
		// The loader names what is not there.
		err = m.blessBooted(partition)
	}
	if err != nil {
		return err
	}
	return m.noteBlessed()
}

// blessUncounted makes the entry good of a boot that the initramfs alone counted, if it has
// tries: the loader does not count all entries that have.
func (m Machine) blessUncounted() error {
	partition, err := m.bootPartition()
	if err == nil {
		defer partition.Close()
		err = m.blessBooted(partition)
	}
	if err != nil && !errors.Is(err, boot.ErrNoPartition) && !errors.Is(err, boot.ErrNoEntry) && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return m.noteBlessed()
}

func (m Machine) blessBooted(partition *boot.Partition) error {
	id, _, err := sysroot.Booted(m.root)
	if err != nil {
		return err
	}
	return partition.BlessBooted(id)
}

// noteBlessed tells units of this boot that it has proved itself.
func (m Machine) noteBlessed() error {
	id, _, err := sysroot.Booted(m.root)
	if err != nil {
		return err
	}
	if err := m.root.MkdirAll(path.Dir(id.RunBlessed()), 0o755); err != nil {
		return err
	}
	f, err := m.root.Create(id.RunBlessed())
	if err != nil {
		return err
	}
	return f.Close()
}

func (m Machine) noteUnblessed(entry bootentry.Name, why error) error {
	id, _, err := sysroot.Booted(m.root)
	if err != nil {
		return err
	}
	s, err := sysroot.OpenWritable(m.root)
	if err != nil {
		return err
	}
	defer s.Close()
	return records.StoreBootFailure(m.changes(s.Root), deployment.BootFailure{
		ID: id, Entry: entry.String(), BootID: m.bootID(), Time: time.Now().UTC().Format(time.RFC3339),
		Failed: []deployment.FailedUnit{{Name: blessService, Result: why.Error()}},
	})
}
