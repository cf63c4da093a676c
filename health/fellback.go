package health

import (
	"cmp"
	"errors"
	"maps"
	"os"
	"slices"
	"strings"
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
	partition, noPartition := m.waitForBootPartition()
	if noPartition == nil {
		defer partition.Close()
	}
	locked, err := lock(s.Root, lockTime)
	if err != nil {
		return err
	}
	defer locked.Close()
	all, _, err := records.LoadAllAttempts(s.FS())
	if err != nil {
		return err
	}
	for _, id := range slices.Sorted(maps.Keys(all)) {
		a := all[id]
		if !a.Spent() || a.Fallback != booted {
			continue
		}
		if noPartition != nil { // there need not be one, where something else than a boot loader starts the kernel
			m.logf(journal.Warning, "cannot make this deployment the first of the boot loader's: %v", noPartition)
		}
		err = errors.Join(err, m.settle(s, partition, a))
	}
	return err
}

// lockTime is how long a command may take that changes what boots, such as one that a timer
// starts early in a boot.
const lockTime = 10 * time.Minute

// lock keeps commands from changing what boots, until the file is closed.
func lock(root *os.Root, patience time.Duration) (*os.File, error) {
	for until := time.Now().Add(patience); ; time.Sleep(time.Second) {
		locked, err := sysroot.TryLock(root)
		if locked != nil || err != nil {
			return locked, err
		}
		if time.Now().After(until) {
			return nil, errors.New("another program is changing what boots")
		}
	}
}

// settle does what follows for one deployment. partition is nil if there is none.
func (m Machine) settle(s *sysroot.Writable, partition *boot.Partition, spent deployment.Attempts) error {
	now := spent
	now.AttemptsCount = spent.Settled()
	entry, err := m.leave(s, partition, now)
	if entry.Base != "" {
		now.FallbackEntry = entry.ID()
	}
	// This system has come up, whatever was wrong with the boot partition.
	if now != spent {
		err = errors.Join(err, records.StoreAttempts(m.changes(s.Root), now))
	}
	return err
}

// leave records why the spent deployment has failed, and makes the fallback the first of the
// loader's. It returns the fallback's entry, the zero Name if there is none.
func (m Machine) leave(s *sysroot.Writable, partition *boot.Partition, spent deployment.Attempts) (bootentry.Name, error) {
	if partition == nil {
		return bootentry.Name{}, m.noteSpent(s, spent, string(spent.ID))
	}
	// An entry that is not recorded as the machine's own would be taken for another system's.
	if err := partition.Of(m.root, s.Root, records.Ledger{Root: s.FS(), Changes: m.changes(s.Root)}).Claim(); err != nil {
		return bootentry.Name{}, errors.Join(err, m.noteSpent(s, spent, string(spent.ID)))
	}
	files, err := partition.Entries()
	if err != nil {
		return bootentry.Name{}, errors.Join(err, m.noteSpent(s, spent, string(spent.ID)))
	}
	if !attempts.Counts(spent, files) {
		return bootentry.Name{}, nil
	}
	if err := m.noteSpent(s, spent, baseOf(files, spent.ID)); err != nil {
		return bootentry.Name{}, err
	}
	return makeFirst(partition, files, spent)
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
		return bootentry.Name{}, nil
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
	f.Entry = attempts.Name(bootentry.Name{Base: base}, spent).String()
	if previous != nil {
		f = since(*previous, f, spent, base)
	}
	if f.Why() == "" || spent.Failures > 0 && spent.Reason != "" {
		f.Reason = spent.Why()
	}
	// The last boot of the spent deployment may have recorded all that there is: the history
	// alone knows whether an earlier boot of this one has told that it was booted in its place.
	if previous != nil && previous.Entry == f.Entry && previous.Reason == f.Reason {
		if h, err := records.LoadHistory(s.FS()); err == nil && h.ToldFellBack(spent.ID) {
			return nil
		}
	} else if err := records.StoreBootFailure(m.changes(s.Root), f); err != nil {
		return err
	}
	why := cmp.Or(f.Why(), f.Reason)
	m.tellFellBack(spent.ID, why)
	m.remember(s, deployment.Event{Kind: deployment.EventFellBack, ID: spent.Fallback, From: spent.ID, Reason: why})
	return nil
}

// since returns what was recorded of the boots that are counted in the record of a spent
// deployment, with the entry of f; or f, if it is of an earlier time.
func since(previous, f deployment.BootFailure, spent deployment.Attempts, base string) deployment.BootFailure {
	before, err := bootentry.ParseName(previous.Entry)
	// An entry that could not be looked up has the id for a name.
	same := err != nil || strings.EqualFold(before.Base, base) || before.Base == string(spent.ID) || base == string(spent.ID)
	if !spent.Trial { // it was good meanwhile
		same = previous.Reason == spent.Why()
	}
	if !same {
		f.Image = previous.Image
		return f
	}
	previous.Entry = f.Entry
	return previous
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
