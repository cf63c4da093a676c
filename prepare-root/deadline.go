package prepareroot

import (
	"cmp"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bootcount"
	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/kcmdline"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/format/timespan"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/records"
)

// deadlineArgument is the kernel argument with the time that the initramfs has.
const deadlineArgument = "sysupdate-image.initramfs-timeout"

// defaultDeadline is longer than what systemd and dracut themselves wait for a device.
const defaultDeadline = 5 * time.Minute

// Deadline returns how long the initramfs may take to start the system if the boot is on
// trial, 0 for as long as it likes.
func Deadline(cmdline kcmdline.Cmdline) time.Duration {
	value, ok := cmdline.Last(deadlineArgument)
	d, err := timespan.Parse(value)
	if !ok || err != nil {
		return defaultDeadline
	}
	return d
}

// OverdueError returns the error of an initramfs that has not started the system in time.
func OverdueError(limit time.Duration) error {
	return fmt.Errorf("the initramfs has not started the system within %s", timespan.Format(limit))
}

// OnTrial reports whether a machine that cannot start is to be restarted, or switched off,
// because its boot is counted, by the loader or by the record on the physical root. root is the root of the
// running system.
func OnTrial(root fs.FS, cmdline kcmdline.Cmdline) bool {
	return settings{sysroot: deployment.SysrootDir}.onTrial(root, cmdline)
}

func (s settings) onTrial(root fs.FS, cmdline kcmdline.Cmdline) bool {
	entry, _ := countedEntry(root)
	if entry.Counted { // without a look at a disk, which may hang
		return OnFailure(cmdline, entry, deployment.Attempts{}) != bootcount.Emergency
	}
	target, _ := deployment.FromCmdline(cmdline)
	for _, dir := range []string{s.sysroot, s.sysroot + deployment.SysrootDir} { // before, and after the root was prepared
		physical, err := os.OpenRoot(dir)
		if err != nil {
			continue
		}
		record, err := records.LoadAttempts(physical.FS(), target.ID)
		physical.Close()
		if err == nil {
			return record.Trial && OnFailure(cmdline, entry, record) != bootcount.Emergency
		}
	}
	return false
}

// awaitDeadline waits until the initramfs should have ended, which ends this program too. If
// the boot is on trial it then does what follows a failure.
func (s settings) awaitDeadline(root fs.FS, cmdline kcmdline.Cmdline, stderr io.Writer) {
	limit := Deadline(cmdline)
	if limit == 0 {
		return
	}
	waitUnlessBusy(root, limit)
	if !s.onTrial(root, cmdline) {
		fmt.Fprintf(stderr, "prepare-root: %v; it goes on, as this boot is not on trial\n", OverdueError(limit))
		return
	}
	ForceAfter(TimeToRead+timeToAct+timeToAct, cmdline)
	s.giveUp(OverdueError(limit), cmdline, root, stderr)
}

// ForceAfter restarts the machine after some time, even if a disk hangs: what is in memory is
// not written.
func ForceAfter(d time.Duration, cmdline kcmdline.Cmdline) {
	power := sys.PowerReboot
	if cmp.Or(bootcount.PolicyOf(cmdline), bootcount.Reboot) == bootcount.PowerOff {
		power = sys.PowerOff
	}
	time.AfterFunc(d, func() { _ = sys.ForcePower(power) })
}

// busyStep is how often waitUnlessBusy looks.
const busyStep = time.Second

// waitUnlessBusy waits for as long as limit, and begins anew while somebody is asked for a
// passphrase or a file system is checked.
func waitUnlessBusy(root fs.FS, limit time.Duration) {
	for left := limit; left > 0; left -= busyStep {
		time.Sleep(busyStep)
		if isAsking(root) || isChecking(root) {
			left = limit + busyStep
		}
	}
}

// isAsking reports whether systemd waits for a passphrase, see
// https://systemd.io/PASSWORD_AGENTS.
func isAsking(root fs.FS) bool {
	questions, _ := fs.Glob(root, "run/systemd/ask-password/ask.*") // only a bad pattern is an error
	return len(questions) > 0
}

// isChecking reports whether a program that checks file systems is running.
func isChecking(root fs.FS) bool {
	names, _ := fs.Glob(root, "proc/[0-9]*/comm")
	for _, name := range names {
		comm, err := bounded.ReadFile(root, name, limits.Kernel)
		if err == nil && strings.Contains(string(comm), "fsck") {
			return true
		}
	}
	return false
}
