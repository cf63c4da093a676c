package prepareroot

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bootcount"
	"github.com/sysupdate-image/sysupdate-image/internal/format/bootentry"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/kcmdline"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/console"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
)

// lastResort is the number of boots after which an entry without tries left is taken to be
// the only one. The loader avoids such an entry if it can: a machine that boots it again
// after its last try has no good entry, and another reboot would end in the same place.
const lastResort = 10

// OnFailure returns what to do with a machine whose root cannot be prepared. entry
// is the name of the boot entry if the loader counts its boots, and record what the initramfs
// counts, with this failure.
func OnFailure(cmdline kcmdline.Cmdline, entry bootentry.Name, record deployment.Attempts) bootcount.Policy {
	if policy := bootcount.PolicyOf(cmdline); policy != "" {
		return policy
	}
	if restarts(record) {
		return bootcount.Reboot
	}
	if entry.Counted && (entry.TriesLeft > 0 || entry.TriesDone < lastResort) {
		return bootcount.Reboot
	}
	return bootcount.Emergency
}

// countedEntry returns the name of the boot entry that was booted if the loader
// counts its boots, and else one that is not counted.
func countedEntry(fsys fs.FS) (bootentry.Name, error) {
	entry, err := bootcount.Booted(fsys)
	if errors.Is(err, fs.ErrNotExist) {
		return bootentry.Name{}, nil
	}
	if err != nil {
		return bootentry.Name{}, fmt.Errorf("cannot tell whether this boot is a try: %w", err)
	}
	return entry.Name, nil
}

// Times to wait: for somebody to read what is on the screen, and for systemd to
// do what it was asked for.
const (
	TimeToRead = 5 * time.Second
	timeToAct  = 30 * time.Second
)

// Explain returns what to tell the person at a machine that cannot start, and what follows.
// It looks up in root, the root of the running system, whether the boot loader counts this
// boot, and notes the failure in the deployment's record.
func Explain(root fs.FS, failure error, cmdline kcmdline.Cmdline) (text string, action bootcount.Policy) {
	return settings{sysroot: deployment.SysrootDir}.explain(root, failure, cmdline)
}

func (s settings) explain(root fs.FS, failure error, cmdline kcmdline.Cmdline) (text string, action bootcount.Policy) {
	entry, err := countedEntry(root)
	var record deployment.Attempts
	if id := failedID(failure, cmdline); id != "" {
		record = noteFailure(root, s.sysroot, id, reasonOf(failure))
	}
	action = OnFailure(cmdline, entry, record)
	text = screen(failure, action, entry, record, isSealed(root))
	if err != nil {
		text += fmt.Sprintf("prepare-root: warning: %v\n", err)
	}
	return text, action
}

// failedID returns the deployment that could not be booted, "" if that is not known.
func failedID(failure error, cmdline kcmdline.Cmdline) deployment.ID {
	if failed, ok := errors.AsType[*failedError](failure); ok {
		return failed.id
	}
	target, _ := deployment.FromCmdline(cmdline)
	return target.ID
}

// reasonOf returns the failure without the deployment, for its record.
func reasonOf(failure error) string {
	if failed, ok := errors.AsType[*failedError](failure); ok {
		failure = failed.err
	}
	return failure.Error()
}

// giveUp tells what went wrong and what to do about it. It returns if the
// machine is to stay as it is.
func (s settings) giveUp(failure error, cmdline kcmdline.Cmdline, root fs.FS, stderr io.Writer) {
	text, action := s.explain(root, failure, cmdline)
	// The unit's standard error is the journal and /dev/console.
	io.WriteString(stderr, text)
	console.Open().Others().Show(text)
	power := map[bootcount.Policy]sys.Power{bootcount.Reboot: sys.PowerReboot, bootcount.PowerOff: sys.PowerOff}
	p, ok := power[action]
	if !ok {
		return
	}
	time.Sleep(TimeToRead)
	if err := restart(root, p); err != nil {
		fmt.Fprintln(stderr, "prepare-root:", err)
	}
}

// systemdRuns reports whether the first process is systemd, see sd_booted(3). An initramfs
// of scripts would ignore what it is asked for.
func systemdRuns(root fs.FS) bool {
	info, err := fs.Stat(root, "run/systemd/system")
	return err == nil && info.IsDir()
}

// screen returns the text for the person at the machine.
func screen(failure error, action bootcount.Policy, entry bootentry.Name, record deployment.Attempts, sealed bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\nThis system cannot start:\n  %v\n\n", failure)
	switch action {
	case bootcount.Reboot:
		fmt.Fprintf(&b, "The machine restarts in %d seconds.", int(TimeToRead.Seconds()))
		switch {
		case entry.Counted && entry.TriesLeft > 0:
			fmt.Fprintf(&b, " Tries left until the boot loader takes another entry: %d.", entry.TriesLeft)
		case entry.Counted:
			b.WriteString(" No tries are left: the boot loader takes another entry if it has one.")
		case restarts(record) && record.Trial && record.Left > 0:
			fmt.Fprintf(&b, " Boots left until deployment %s takes its place: %d.", record.Fallback.Short(), record.Left)
		case restarts(record) && !record.Trial && record.Failures < deployment.MaxFailures:
			fmt.Fprintf(&b, " After %d failures deployment %s takes its place; this was failure %d.",
				deployment.MaxFailures, record.Fallback.Short(), record.Failures)
		case restarts(record):
			fmt.Fprintf(&b, " Then deployment %s takes its place.", record.Fallback.Short())
		}
		b.WriteString("\n")
	case bootcount.PowerOff:
		fmt.Fprintf(&b, "The machine is switched off in %d seconds.\n", int(TimeToRead.Seconds()))
	case bootcount.Emergency:
		if sealed {
			b.WriteString("The kernel's signature covers this deployment alone, so no other one can be booted from here.\n")
		}
		b.WriteString("Restart the machine and choose another entry in the boot loader's menu. If there is none,\n" +
			"start from an installation medium and repair the deployment named above.\n")
	}
	b.WriteString("To choose what happens next time, add to the kernel command line\n  " + bootcount.OnFailure + "=reboot, poweroff or emergency\n\n")
	return b.String()
}
