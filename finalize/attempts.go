package finalize

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/journal"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/attempts"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/records"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/sysroot"
)

// The initramfs counts boots too, for every loader that has no counter, or none that works:
// see package attempts.

// armAttempts has the initramfs count the boots of the deployment that is about to be
// published. A deployment that was published before keeps its count.
func (m Machine) armAttempts(plan Plan, root *os.Root, p *boot.Partition) error {
	if plan.Published {
		return nil
	}
	name, err := plan.entryName()
	if err != nil {
		return err
	}
	files, err := p.Entries()
	if err != nil {
		return err
	}
	err = m.attempts(root).Arm(attempts.Case{ID: plan.Staged, Booted: plan.Booted, Files: files, Trial: true, Counted: name.Counted})
	if err == nil {
		return nil
	}
	err = fmt.Errorf("cannot set up boot counting for deployment %s: %w", plan.Staged.Short(), err)
	if !name.Counted {
		return err
	}
	m.logf(journal.Warning, "%v", err) // the loader counts them
	return nil
}

func (m Machine) attempts(root *os.Root) attempts.Root {
	return attempts.Root{FS: root.FS(), Changes: m.changes(root)}
}

// blessAttempts ends the trial of the booted deployment in its record.
func (m Machine) blessAttempts() error {
	booted, _, err := attempts.OfBooted(m.root)
	if booted == "" || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	s, err := sysroot.OpenWritable(m.root)
	if err != nil {
		return err
	}
	defer s.Close()
	err = m.attempts(s.Root).Bless(booted)
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		// A full disk makes no boot a bad one: what the initramfs counts needs no room.
		err = records.OverwriteAttempts(s.Root, booted, deployment.AttemptsCount{})
	}
	return err
}

// keepOnTrial gives the booted deployment all its tries back, if it is on trial: its boot was
// a good one.
func (m Machine) keepOnTrial() (kept bool, err error) {
	booted, a, err := attempts.OfBooted(m.root)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !a.Trial {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	s, err := sysroot.OpenWritable(m.root)
	if err != nil {
		return false, err
	}
	defer s.Close()
	m.logf(journal.Notice, "deployment %s stays on trial until the boot loader has booted it", booted.Short())
	return true, m.attempts(s.Root).Retry(a)
}
