package health

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bootentry"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/journal"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/attempts"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/records"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/sysroot"
)

// FellBack settles what follows after the initramfs, or the loader, has booted this system in
// place of a deployment that is spent: why that one failed is recorded, and this one becomes
// the first in the loader's order, so the next boot begins with it.
func FellBack(m Machine) error {
	s, err := sysroot.OpenWritable(m.root)
	if err != nil {
		return err
	}
	defer s.Close()
	booted, _, err := sysroot.Booted(m.root)
	if err != nil {
		return err
	}
	all, _, err := records.LoadAllAttempts(s.FS())
	if err != nil {
		return err
	}
	for _, id := range slices.Sorted(maps.Keys(all)) {
		if a := all[id]; a.Spent() && a.Fallback == booted {
			err = errors.Join(err, m.settle(s, a))
		}
	}
	return err
}

// settle does what follows for one deployment.
func (m Machine) settle(s *sysroot.Writable, spent deployment.Attempts) error {
	partition, err := m.waitForBootPartition()
	if err != nil { // there need not be one, where something else than a boot loader starts the kernel
		m.logf(journal.Warning, "cannot make this deployment the first of the boot loader's: %v", err)
		return errors.Join(m.noteSpent(s, spent, string(spent.ID)), m.noteUp(s, spent, spent.FallbackEntry))
	}
	defer partition.Close()
	// An entry that is not recorded as the machine's own would be taken for another system's.
	if err := partition.Of(m.root, s.Root, records.Ledger{Root: s.FS(), Changes: m.changes(s.Root)}).Claim(); err != nil {
		return err
	}
	files, err := partition.Entries()
	if err != nil {
		return err
	}
	if !attempts.Counts(spent, files) {
		return nil
	}
	if err := m.noteSpent(s, spent, baseOf(files, spent.ID)); err != nil {
		return err
	}
	entry, err := makeFirst(partition, files, spent)
	if err != nil {
		return err
	}
	return m.noteUp(s, spent, entry.ID())
}

// noteUp records that this system, whose boot entry is given, has come up: another boot of the
// spent one may end here again.
func (m Machine) noteUp(s *sysroot.Writable, spent deployment.Attempts, entry string) error {
	now := spent
	now.Redirects, now.FallbackEntry = 0, entry
	now.Failures = min(now.Failures, deployment.MaxFailures)
	if now == spent {
		return nil
	}
	return records.StoreAttempts(m.changes(s.Root), now)
}

// makeFirst makes the fallback's entry the first of the loader's if that of the spent
// deployment is, and returns the fallback's. If the loader has no counter, it would boot the
// spent one for ever, and only the initramfs would know better.
func makeFirst(p *boot.Partition, files []boot.EntryFile, spent deployment.Attempts) (bootentry.Name, error) {
	first, ok := boot.Next(files)
	if ok && first.Target.ID == spent.ID && !first.Name.Exhausted() {
		name, err := p.Rollback(spent.Fallback)
		if err != nil {
			return bootentry.Name{}, err
		}
		return bootentry.ParseName(name)
	}
	i := slices.IndexFunc(files, func(f boot.EntryFile) bool { return f.Target.ID == spent.Fallback && f.Bootable() })
	if i < 0 {
		return bootentry.ParseName(spent.FallbackEntry)
	}
	return files[i].Name, nil
}

// baseOf returns the name of a deployment's entry without tries, or its id if it has none.
func baseOf(files []boot.EntryFile, id deployment.ID) string {
	i := slices.IndexFunc(files, func(f boot.EntryFile) bool { return f.Target.ID == id && f.Bootable() })
	if i < 0 {
		return string(id)
	}
	return files[i].Name.Base
}

// noteSpent records that a deployment has used up its boots. What a boot of it has recorded
// itself is the better reason.
func (m Machine) noteSpent(s *sysroot.Writable, spent deployment.Attempts, base string) error {
	f := deployment.BootFailure{ID: spent.ID, Time: time.Now().UTC().Format(time.RFC3339)}
	previous, err := records.IfAny(records.LoadBootFailure(s.FS(), spent.ID))
	if err != nil && !errors.Is(err, records.ErrDamaged) {
		return err
	}
	if previous != nil {
		f = *previous
	}
	f.Entry = attempts.Name(bootentry.Name{Base: base}, spent).String()
	if f.Why() == "" || spent.Failures > 0 && spent.Reason != "" {
		f.Reason = spent.Why()
	}
	if previous != nil && previous.Entry == f.Entry && previous.Reason == f.Reason {
		return nil
	}
	m.logf(journal.Warning, "deployment %s is not booted any more, this one is: %s", spent.ID.Short(), cmp.Or(f.Why(), f.Reason))
	return records.StoreBootFailure(m.changes(s.Root), f)
}

// partitionTime is how long udev may take to tell which partition is the boot partition: early
// in a boot it may not have come to it.
const partitionTime = 30 * time.Second

func (m Machine) waitForBootPartition() (*boot.Partition, error) {
	for until := time.Now().Add(partitionTime); ; time.Sleep(time.Second) {
		p, err := m.bootPartition()
		if err == nil || m.root.Name() != runningRoot || time.Now().After(until) {
			return p, err
		}
	}
}

// bootPartition opens the machine's boot partition. A tree that is not that of the running
// machine has it at /sysroot/boot.
func (m Machine) bootPartition() (*boot.Partition, error) {
	if m.root.Name() == runningRoot {
		return boot.Find(m.root, deployment.SysrootDir)
	}
	return boot.OpenDir(m.root.Name() + deployment.SysrootDir + "/boot")
}
