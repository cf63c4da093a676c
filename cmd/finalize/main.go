// Finalize makes the staged deployment the next one when the machine goes down;
// units of the running system call it for more that changes the disk. With "--root DIR" first it works on the tree DIR.
package main

import (
	"fmt"
	"os"
	"syscall"

	"github.com/sysupdate-image/sysupdate-image/finalize"
	"github.com/sysupdate-image/sysupdate-image/internal/format/bug"
)

func main() {
	syscall.Umask(0o022) // modes of what lasts are ours, not the caller's
	dir, args := "/", os.Args[1:]
	if len(args) > 1 && args[0] == "--root" {
		dir, args = args[1], args[2:]
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		fmt.Fprintf(os.Stderr, "<3>%v\n", err)
		os.Exit(1)
	}
	if err := finalize.Run(root, args, os.Stderr, os.Exit); err != nil {
		os.Exit(bug.Status(err, 1))
	}
}
