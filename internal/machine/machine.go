// Package machine is a system that boots deployments: the running one, or one whose
// physical root is a directory. Open returns handles to it, System.State reads all that
// is known of it into a State, a plain value, and everything that decides from it asks
// that value: which deployment boots next, which one a name stands for, and which ones
// stay when there is no room.
//
//	system, err := machine.Open("") // the running system
//	if err != nil { … }
//	defer system.Close()
//	state := system.State()
//	id, err := state.Find("rollback")
//
// Opening and reading take no lock and change nothing. A part that is missing or cannot
// be read does not hide the others: State.Problems tells of it.
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
	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
)

// A System is an open machine. A part that is nil is not there or could not be opened.
type System struct {
	Running    fs.FS            // root of the running system; nil for a machine that is not running
	Booted     deployment.ID    // "" if Running's mount table tells
	Root       *os.Root         // physical root; State needs only Sysroot
	Sysroot    fs.FS            // the same
	SysrootErr error            // why Sysroot is nil
	Repository *repo.Repository // nil without an error too: `repo fsck` reports why it cannot be opened
	Boot       *boot.Partition
	BootErr    error // why Boot is nil

	close []func() error
}

// Open opens the machine whose physical root is the directory dir, or the running one
// if dir is "". The error says that dir is not a directory; whatever else cannot be
// opened is nil in the System. The caller closes it.
func Open(dir string) (*System, error) {
	if dir == "" {
		return openRunning(), nil
	}
	if _, err := os.ReadDir(dir); err != nil && !errors.Is(err, fs.ErrPermission) {
		return nil, err
	}
	s := &System{}
	s.openRoot(dir)
	if s.BootErr = s.SysrootErr; s.Root != nil {
		s.setBoot(boot.FindIn(s.Root))
	}
	return s, nil
}

func openRunning() *System {
	s := &System{Running: os.DirFS("/"), BootErr: fs.ErrNotExist}
	s.openRoot(deployment.SysrootDir)
	// The boot partition of a machine that was not booted from a deployment is not ours.
	if mounts, err := mountTable(s.Running); err == nil && bootedIn(mounts) != "" {
		s.setBoot(boot.Find(deployment.SysrootDir))
	}
	return s
}

func (s *System) openRoot(dir string) {
	if s.Root, s.SysrootErr = os.OpenRoot(dir); s.SysrootErr != nil {
		s.Root = nil
		return
	}
	s.Sysroot = s.Root.FS()
	s.close = append(s.close, s.Root.Close)
	if r, err := repo.OpenIn(s.Root, deployment.RepositoryDir); err == nil {
		s.Repository = r
		s.close = append(s.close, r.Close)
	}
}

func (s *System) setBoot(p *boot.Partition, err error) {
	if s.Boot, s.BootErr = p, err; err == nil {
		s.close = append(s.close, p.Close)
	}
}

// Close closes what Open opened.
func (s *System) Close() error {
	var errs []error
	for _, c := range s.close {
		errs = append(errs, c())
	}
	s.close = nil
	return errors.Join(errs...)
}

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
