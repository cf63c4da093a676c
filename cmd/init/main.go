// Command init is the first program of an initramfs of its own. The kernel starts it.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"syscall"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bug"
	prepareroot "github.com/sysupdate-image/sysupdate-image/prepare-root"
	"github.com/sysupdate-image/sysupdate-image/standalone"
)

func main() {
	syscall.Umask(0o022) // modes of what lasts are ours, not the caller's
	err := standalone.Run(context.Background(), os.Args[1:], standalone.Hooks{
		OpenRoot:   func() (*os.Root, error) { return os.OpenRoot("/") },
		Prepare:    func(stderr io.Writer) error { return prepareroot.Run(os.DirFS("/"), nil, io.Discard, stderr) },
		Explain:    prepareroot.Explain,
		TimeToRead: prepareroot.TimeToRead,
		Deadline:   prepareroot.Deadline,
		Overdue:    prepareroot.OverdueError,
		OnTrial:    prepareroot.OnTrial,
		ForceAfter: prepareroot.ForceAfter,
	})
	fmt.Fprintln(os.Stderr, "init:", err)
	os.Exit(bug.Status(err, 1))
}
