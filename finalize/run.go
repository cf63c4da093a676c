package finalize

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bug"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/journal"
)

// Run is the program, on the machine with this root directory. Without args it finalizes,
// at shutdown; units of the running system call it with "arm", "bless" and "copy-up
// DIRECTORY…". Messages, also that of the error, go to the journal of the running
// machine, or to log if there is none, with a priority as in sd-daemon(3). exit ends the
// program where it is told to stop.
func Run(root *os.Root, args []string, log io.Writer, exit func(status int)) error {
	m := Machine{root: root, exit: exit, log: journal.Log{Identifier: identifier, Else: log}}
	if root.Name() == runningRoot {
		m.log.Socket, m.log.Console = journal.Socket, journal.ConsoleOf(root)
	}
	err := bug.Catch(func() error { return run(m, args) })
	_, left := errors.AsType[*leftError](err)
	switch {
	case left:
		m.logf(journal.Warning, "%v", err)
	case err != nil && len(args) == 0:
		m.tellFailure(err)
	case err != nil:
		m.logf(journal.Err, "%v", err)
	}
	return err
}

func run(m Machine, args []string) error {
	switch {
	case len(args) == 0:
		return Finalize(m, m.wayDown())
	case args[0] == "arm" && len(args) == 1:
		return Arm(m)
	case args[0] == "bless" && len(args) == 1:
		return Bless(m, false)
	case len(args) == 2 && args[0] == "bless" && args[1] == "after-kexec":
		return Bless(m, true)
	case args[0] == "copy-up" && len(args) > 1:
		return CopyUp(m, args[1:])
	}
	return fmt.Errorf("invalid arguments %q: want none, arm, bless, or copy-up DIRECTORY…", args)
}
