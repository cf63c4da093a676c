// Package health finds out whether a boot is good: it runs the checks that the image and the
// administrator have. It records why a boot on trial is not good, and has it tried again.
package health

import (
	"fmt"
	"io"
	"os"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bug"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/journal"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/systemctl"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/sysroot"
)

// A Machine is a running system.
type Machine struct {
	root *os.Root // of the file system at /
	log  journal.Log
}

// runningRoot is the root of the machine that runs the program.
const runningRoot = "/"

// bootFailedService is the unit that runs BootFailed.
const bootFailedService = "sysupdate-image-boot-failed.service"

// Run is the program, on the machine with this root directory; units call it. Messages, also
// that of the error, go to the journal of the running machine, or to log if there is none,
// with a priority as in sd-daemon(3).
func Run(root *os.Root, args []string, log io.Writer) error {
	m := Machine{root: root, log: journal.Log{Identifier: identifier, Else: log}}
	if root.Name() == runningRoot {
		m.log.Socket, m.log.Console = journal.Socket, journal.ConsoleOf(root)
	}
	err := bug.Catch(func() error { return run(m, args) })
	if err != nil {
		m.logf(journal.Err, "%v", err)
	}
	return err
}

func run(m Machine, args []string) error {
	switch {
	case len(args) == 1 && args[0] == "check":
		return Check(m)
	case len(args) == 1 && args[0] == "boot-failed":
		return BootFailed(m)
	case len(args) == 1 && args[0] == "fell-back":
		return FellBack(m)
	}
	return fmt.Errorf("invalid arguments %q: want check, boot-failed or fell-back", args)
}

func (m Machine) systemd() systemctl.Manager {
	return systemctl.Manager{Warn: func(err error) { m.logf(journal.Warning, "%v", err) }}
}

// changes returns a directory to change.
func (m Machine) changes(root *os.Root) durable.FS { return durable.OS(root) }

// bootID returns the kernel's id of this boot as journald writes it.
func (m Machine) bootID() string { return sysroot.BootID(m.root) }
