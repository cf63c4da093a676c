package prepareroot

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"
	"unicode/utf16"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bootentry"
	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/kcmdline"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
)

// An Action is what to do with a machine that cannot start.
type Action string

// Actions, as sysupdate-image.on-failure= on the kernel command line names them.
const (
	Reboot    Action = "reboot"
	PowerOff  Action = "poweroff"
	Emergency Action = "emergency" // stay, with a shell where systemd gives one
)

// onFailureKey is the kernel argument that chooses the action.
const onFailureKey = "sysupdate-image.on-failure"

// bootCountPath is the variable in which systemd-boot leaves the path of a boot
// entry whose boots it counts. See the Boot Loader Interface.
const bootCountPath = "sys/firmware/efi/efivars/LoaderBootCountPath-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"

// lastResort is the number of boots after which an entry without tries left is
// taken for the only one there is. The loader avoids such an entry, but for the
// last of its tries, which it has to end with another boot; who is past them is
// there because no other entry is good, and would be again.
const lastResort = 10

// OnFailure says what to do with a machine whose root cannot be prepared. entry
// is the name of the boot entry if the loader counts its boots.
func OnFailure(cmdline kcmdline.Cmdline, entry bootentry.Name) Action {
	value, _ := cmdline.Last(onFailureKey)
	switch a := Action(value); a {
	case Reboot, PowerOff, Emergency:
		return a
	}
	if entry.Counted && (entry.TriesLeft > 0 || entry.TriesDone < lastResort) {
		return Reboot
	}
	return Emergency
}

// countedEntry returns the name of the boot entry that was booted if the loader
// counts its boots, and else one that is not counted.
func countedEntry(fsys fs.FS) (bootentry.Name, error) {
	data, err := bounded.ReadFile(fsys, bootCountPath, limits.Record)
	if errors.Is(err, fs.ErrNotExist) {
		return bootentry.Name{}, nil
	}
	if err != nil {
		return bootentry.Name{}, fmt.Errorf("cannot tell whether this boot is a try: %w", err)
	}
	return parseBootCountPath(data)
}

// parseBootCountPath reads an EFI variable as efivarfs shows it: four bytes of
// attributes, then UTF-16 in little endian with a zero at the end. It is a path
// with backslashes.
func parseBootCountPath(data []byte) (bootentry.Name, error) {
	if len(data) < 4 || len(data)%2 != 0 {
		return bootentry.Name{}, fmt.Errorf("EFI variable LoaderBootCountPath has %d bytes", len(data))
	}
	var units []uint16
	for i := 4; i < len(data); i += 2 {
		units = append(units, uint16(data[i])|uint16(data[i+1])<<8)
	}
	name := strings.TrimRight(string(utf16.Decode(units)), "\x00")
	name = name[strings.LastIndexAny(name, `\/`)+1:]
	// A unified kernel image counts in its own name.
	if stem, ok := strings.CutSuffix(name, ".efi"); ok {
		name = stem + bootentry.Suffix
	}
	return bootentry.ParseName(name)
}

// Times to wait: for somebody to read what is on the screen, and for systemd to
// do what it was asked for.
const (
	timeToRead = 5 * time.Second
	timeToAct  = 30 * time.Second
)

// giveUp tells what went wrong and what to do about it. It returns if the
// machine is to stay as it is.
func giveUp(failure error, cmdline kcmdline.Cmdline, fsys fs.FS, stderr io.Writer) {
	entry, err := countedEntry(fsys)
	if err != nil {
		fmt.Fprintln(stderr, "prepare-root: warning:", err)
	}
	action := OnFailure(cmdline, entry)
	io.WriteString(stderr, screen(failure, action, entry))
	power := map[Action]sys.Power{Reboot: sys.PowerReboot, PowerOff: sys.PowerOff}
	p, ok := power[action]
	if !ok {
		return
	}
	time.Sleep(timeToRead)
	// systemd stops everything in order. If it does not, the kernel does it.
	if err := sys.AskInit(p); err == nil {
		time.Sleep(timeToAct)
	}
	if err := sys.SetPower(p); err != nil {
		fmt.Fprintln(stderr, "prepare-root:", err)
	}
}

// screen is the text for whoever is at the machine.
func screen(failure error, action Action, entry bootentry.Name) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\nThis system cannot start:\n  %v\n\n", failure)
	switch action {
	case Reboot:
		fmt.Fprintf(&b, "The machine restarts in %d seconds.", int(timeToRead.Seconds()))
		switch {
		case entry.Counted && entry.TriesLeft > 0:
			fmt.Fprintf(&b, " Tries left until the boot loader takes another entry: %d.", entry.TriesLeft)
		case entry.Counted:
			b.WriteString(" No tries are left: the boot loader takes another entry if it has one.")
		}
		b.WriteString("\n")
	case PowerOff:
		fmt.Fprintf(&b, "The machine is switched off in %d seconds.\n", int(timeToRead.Seconds()))
	case Emergency:
		b.WriteString("Restart the machine and choose another entry in the boot loader's menu. If there is none,\n" +
			"start from an installation medium and repair the deployment named above.\n")
	}
	b.WriteString("To choose what happens next time, add to the kernel command line\n  " + onFailureKey + "=reboot, poweroff or emergency\n\n")
	return b.String()
}
