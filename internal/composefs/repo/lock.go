package repo

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/format/printable"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
)

// Lock locks the repository until unlock is called or the process ends; see
// LockFor.
func (r *Repository) Lock(exclusive bool) (unlock func() error, err error) {
	l, err := r.LockFor(exclusive)
	if err != nil {
		return nil, err
	}
	return l.Unlock, nil
}

// A Lock is a lock of a repository. An exclusive one keeps all others away, and who
// removes anything has one. A shared one keeps those away, so that what has been
// written stays, though nothing refers to it yet. composefs-rs takes the same locks.
type Lock struct {
	repo      *Repository
	file      *os.File // locks belong to an open(2), so each has one of its own
	exclusive bool
}

// LockFor locks the repository until Unlock is called or the process ends. It does not
// wait: while another holds the repository the error is ErrBusy, with the name of
// the process if it can be had. Two locks of one process exclude each other too.
func (r *Repository) LockFor(exclusive bool) (*Lock, error) {
	f, err := r.root.Open(".")
	if err != nil {
		return nil, fmt.Errorf("cannot lock the repository: %w", err)
	}
	l := &Lock{repo: r, file: f}
	if err := l.take(exclusive); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return l, nil
}

// Share makes the lock a shared one. On the way another may have had it, and changed
// the repository.
func (l *Lock) Share() error { return l.take(false) }

// Exclude makes the lock an exclusive one, with the same reservation. With ErrBusy it is
// as it was, or none: it is of use for Unlock only.
func (l *Lock) Exclude() error { return l.take(true) }

func (l *Lock) take(exclusive bool) error {
	l.note(false)
	locked, err := sys.TryFlock(l.file, exclusive)
	if err == nil && !locked {
		err = fmt.Errorf("%w%s: try again when it is done", ErrBusy, holder(l.file))
	}
	if err == nil {
		l.note(exclusive)
	}
	return err
}

// note tells the repository whether this lock is exclusive.
func (l *Lock) note(exclusive bool) {
	switch {
	case exclusive && !l.exclusive:
		l.repo.exclusive.Add(1)
	case !exclusive && l.exclusive:
		l.repo.exclusive.Add(-1)
	}
	l.exclusive = exclusive
}

// Unlock ends the lock. The second time it does nothing.
func (l *Lock) Unlock() error {
	l.note(false)
	if err := l.file.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		return err
	}
	return nil
}

// Busy returns the ErrBusy of Lock while another writes, and keeps nobody from
// anything for longer than it takes to ask.
func (r *Repository) Busy() error {
	unlock, err := r.Lock(false)
	if err != nil {
		return err
	}
	return unlock()
}

// holder returns " by NAME, process N" for the process that has locked f, or
// nothing.
func holder(f *os.File) string {
	stat, err := sys.Statx(f, "")
	if err != nil {
		return ""
	}
	locks, err := os.Open("/proc/locks")
	if err != nil {
		return ""
	}
	defer locks.Close()
	for lines := bufio.NewScanner(locks); lines.Scan(); {
		if pid := lockedBy(lines.Text(), stat.Inode); pid > 0 {
			return fmt.Sprintf(" by %sprocess %d", command(pid), pid)
		}
	}
	return ""
}

// lockedBy returns the process that has a lock of the inode by a line of
// /proc/locks, see proc_locks(5), or 0:
//
//	1: FLOCK  ADVISORY  WRITE 4711 fe:00:131073 0 EOF
//
// The device is not compared: for btrfs it is not that of stat(2).
func lockedBy(line string, inode uint64) int {
	fields := strings.Fields(line)
	if len(fields) != 8 || fields[1] != "FLOCK" {
		return 0
	}
	if !strings.HasSuffix(fields[5], ":"+strconv.FormatUint(inode, 10)) {
		return 0
	}
	pid, err := strconv.Atoi(fields[4])
	if err != nil {
		return 0
	}
	return pid
}

// command returns the name of a program that runs, with a comma, or nothing.
func command(pid int) string {
	name, err := bounded.ReadPath("/proc/"+strconv.Itoa(pid)+"/comm", limits.Kernel)
	if err != nil {
		return ""
	}
	title := printable.Title(string(name)) // which any program gives itself
	if title == "" {
		return ""
	}
	return title + ", "
}
