// Package machine is a system that boots deployments: the running one, or one whose
// physical root is a directory. Open returns handles to it, System.State reads all that
// is known of it into a State, a plain value, and everything that decides from it asks
// that value: which deployment boots next, which one a name stands for, and which ones
// stay when there is no room.
//
//	system, err := machine.Open(machine.Place{Host: host}, machine.ToRead) // the running system
//	if err != nil { … }
//	defer system.Close()
//	state := system.State()
//	id, err := state.Find("rollback")
//
// Opening and reading take no lock and change nothing. Opened ToRead, a part that is missing
// or cannot be read does not hide the others: State.Problems tells of it.
package machine

import (
	"errors"
	"io/fs"
	"os"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/repo"
	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/format/mountplan"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
)

// A System is an open machine. A part that is nil is not there or could not be opened.
type System struct {
	Host          *os.Root            // root directory of the running system, also for a machine that is not running
	Running       fs.FS               // the same, see Host.Files; nil for a machine that is not running
	Booted        deployment.ID       // "" if Running's mount table tells
	Mounts        []mountplan.Mounted // that mount table, if Booted is not ""
	Root          *os.Root            // physical root; State needs only Sysroot
	Sysroot       fs.FS               // the same
	SysrootErr    error               // why Sysroot is nil
	Changes       durable.FS          // the same, to change it; nil for a machine that was opened to read
	Repository    *repo.Repository
	RepositoryErr error // why Repository is nil; State does not report it
	Boot          *boot.Partition
	BootErr       error // why Boot is nil

	purpose Purpose
	close   []func() error
}

// Close closes what Open opened.
func (s *System) Close() error {
	var errs []error
	for i := len(s.close) - 1; i >= 0; i-- {
		errs = append(errs, s.close[i]())
	}
	s.close = nil
	return errors.Join(errs...)
}

// Until has Close call f before it closes anything.
func (s *System) Until(f func() error) { s.close = append(s.close, f) }

// bootedIn returns the deployment whose image is mounted at /, "" if none is.
func bootedIn(mounts []mountplan.Mounted) deployment.ID {
	root, _ := mountplan.At(mounts, "/")
	id, _ := deployment.FromMountSource(root.What)
	return id
}

// mountTable reads the mount table of the running system.
func mountTable(running fs.FS) ([]mountplan.Mounted, error) {
	data, err := bounded.ReadFile(running, "proc/self/mountinfo", limits.Kernel)
	if err != nil {
		return nil, err
	}
	return mountplan.ParseMountinfo(string(data))
}
