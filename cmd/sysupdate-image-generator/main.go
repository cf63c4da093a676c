// Sysupdate-image-generator is a generator as in systemd.generator(7). With
// "--root DIR" first it tells what it would make of the tree DIR.
package main

import (
	"fmt"
	"io"
	"os"
	"syscall"

	"github.com/sysupdate-image/sysupdate-image/generators"
	"github.com/sysupdate-image/sysupdate-image/internal/format/bug"
)

func main() {
	syscall.Umask(0o022) // modes of what lasts are ours, not the caller's
	root, dirs := "/", os.Args[1:]
	if len(dirs) > 1 && dirs[0] == "--root" {
		root, dirs = dirs[1], dirs[2:]
	}
	say := func(priority int, err error) {
		var log io.Writer = os.Stderr
		if kmsg, err := os.OpenFile("/dev/kmsg", os.O_WRONLY, 0); err == nil && root == "/" { // there is no journal yet
			log = kmsg
		}
		fmt.Fprintf(log, "<%d>sysupdate-image-generator: %v\n", priority, err)
	}
	if err := generators.Run(os.DirFS(root), dirs, func(err error) { say(4, err) }); err != nil {
		say(3, err)
		os.Exit(bug.Status(err, 1))
	}
}
