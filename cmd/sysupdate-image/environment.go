package main

import (
	"os"

	"github.com/sysupdate-image/sysupdate-image/internal/image/oci"
	"github.com/sysupdate-image/sysupdate-image/internal/install"
	"github.com/sysupdate-image/sysupdate-image/internal/machine"
)

// forgetUser makes the files of the system the only ones that count for root, besides
// those that a flag names: what a machine boots must not depend on whose shell it is. For a
// disk image that is made by another user, those of that user count, too.
func forgetUser() {
	if os.Geteuid() != 0 || install.IsInNamespace() {
		return
	}
	set, unset := oci.SystemEnvironment(os.Environ())
	for _, name := range unset {
		must(os.Unsetenv(name))
	}
	for name, value := range set {
		must(os.Setenv(name, value))
	}
}

// host opens the running system. No directory is above /: that it cannot be opened is a bug.
func host() machine.Host {
	root, err := os.OpenRoot("/")
	must(err)
	return machine.Host{Root: root, Files: os.DirFS("/")}
}
