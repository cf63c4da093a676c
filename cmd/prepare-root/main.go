// Command prepare-root makes the root of an image from the physical root. It
// runs in the initramfs.
package main

import (
	"fmt"
	"os"
	"syscall"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bug"
	prepareroot "github.com/sysupdate-image/sysupdate-image/prepare-root"
)

func main() {
	syscall.Umask(0o022) // modes of what lasts are ours, not the caller's
	if err := prepareroot.Run(os.DirFS("/"), os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "prepare-root:", err)
		os.Exit(bug.Status(err, 1))
	}
}
