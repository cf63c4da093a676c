package finalize

import (
	"fmt"
	"io"
	"os"
)

// Run does what the program was called for on the machine whose root directory
// is root: nothing in args is the shutdown, "boot-failed" and "copy-up
// DIRECTORY…" are for the units of those names. Messages go to log, also that
// of the error, with a priority as in sd-daemon(3).
func Run(root string, args []string, log io.Writer) error {
	m := Machine{log: log}
	dir, err := os.OpenRoot(root)
	if err == nil {
		defer dir.Close()
		m.root = dir
		err = run(m, args)
	}
	if err != nil {
		m.logf(logErr, "%v", err)
	}
	return err
}

func run(m Machine, args []string) error {
	switch {
	case len(args) == 0:
		return Finalize(m)
	case args[0] == "boot-failed" && len(args) == 1:
		return BootFailed(m)
	case args[0] == "copy-up" && len(args) > 1:
		return CopyUp(m, args[1:])
	}
	return fmt.Errorf("arguments %q make no sense: want none, boot-failed, or copy-up DIRECTORY…", args)
}
