package main

import (
	"os"

	"github.com/sysupdate-image/sysupdate-image/internal/image/oci"
)

// forgetUser makes the files of the system the only ones that count for root, besides
// those that a flag names: what a machine boots must not depend on whose shell it is.
func forgetUser() {
	if os.Geteuid() != 0 {
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
