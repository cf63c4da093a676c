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
	"github.com/sysupdate-image/sysupdate-image/internal/format/kcmdline"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/console"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
)

// lastResort is the number of boots after which an entry without tries left is taken to be
// the only one. The loader avoids such an entry if it can: a machine that boots it again
// after its last try has no good entry, and another reboot would end in the same place.
const lastResort = 10

// OnFailure returns what to do with a machine whose root cannot be prepared. entry
// is the name of the boot entry if the loader counts its boots.
func OnFailure(cmdline kcmdline.Cmdline, entry bootentry.Name) bootcount.Policy {
	if policy := bootcount.PolicyOf(cmdline); policy != "" {
		return policy
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
// boot.
func Explain(root fs.FS, failure error, cmdline kcmdline.Cmdline) (text string, action bootcount.Policy) {
	entry, err := countedEntry(root)
	action = OnFailure(cmdline, entry)
	text = screen(failure, action, entry)
	if err != nil {
		text += fmt.Sprintf("prepare-root: warning: %v\n", err)
	}
	return text, action
}

// giveUp tells what went wrong and what to do about it. It returns if the
// machine is to stay as it is.
func giveUp(failure error, cmdline kcmdline.Cmdline, root fs.FS, stderr io.Writer) {
	text, action := Explain(root, failure, cmdline)
	// The unit's standard error is the journal and /dev/console.
	io.WriteString(stderr, text)
	console.Open().Others().Show(text)
	power := map[bootcount.Policy]sys.Power{bootcount.Reboot: sys.PowerReboot, bootcount.PowerOff: sys.PowerOff}
	p, ok := power[action]
	if !ok {
		return
	}
	time.Sleep(TimeToRead)
	// systemd stops everything in order. If it does not, the kernel does it.
	if systemdRuns(root) && sys.AskInit(p) == nil {
		time.Sleep(timeToAct)
	}
	if err := sys.SetPower(p); err != nil {
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
func screen(failure error, action bootcount.Policy, entry bootentry.Name) string {
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
		}
		b.WriteString("\n")
	case bootcount.PowerOff:
		fmt.Fprintf(&b, "The machine is switched off in %d seconds.\n", int(TimeToRead.Seconds()))
	case bootcount.Emergency:
		b.WriteString("Restart the machine and choose another entry in the boot loader's menu. If there is none,\n" +
			"start from an installation medium and repair the deployment named above.\n")
	}
	b.WriteString("To choose what happens next time, add to the kernel command line\n  " + bootcount.OnFailure + "=reboot, poweroff or emergency\n\n")
	return b.String()
}
