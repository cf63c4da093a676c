// Command prepare-root makes the root of an image from the physical root. It
// runs in the initramfs.
package main

import (
	"fmt"
	"os"

	prepareroot "github.com/sysupdate-image/sysupdate-image/prepare-root"
)

func main() {
	if err := prepareroot.Run(os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "prepare-root:", err)
		os.Exit(1)
	}
}
