package machine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/repo"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/sysroot"
)

// A Host is the running system. For a machine that is not running it tells which devices the
// boot partition and the root of that machine are on.
type Host struct {
	// Root is the root directory. It stays the caller's, and open as long as a System.
	Root *os.Root
	// Files is the same to read it, where a link may be absolute.
	Files fs.FS
}

// A Place says which machine is meant.
type Place struct {
	Host Host
	// Dir is the physical root of a machine that is not running; "" for the running one.
	Dir string
}

// A Purpose is what a machine is opened for.
type Purpose int

const (
	// ToRead leaves out what cannot be opened.
	ToRead Purpose = iota
	// ToPlan wants to know what ToChange would do. What exists and cannot be opened is an
	// error, and so is a running machine that was not booted from an image
	// (sysroot.ErrNotBooted).
	ToPlan
	// ToChange is ToPlan with a physical root that can be written to. Where that of the
	// running machine is read-only, only this process sees it writable, which needs
	// CAP_SYS_ADMIN. Locks are the caller's business.
	ToChange
)

// BootDir is where a machine that does not run gets its boot partition, if nothing
// is mounted elsewhere.
const BootDir = "boot"

// Open opens a machine. It makes nothing: a machine that is not running may have neither
// boot partition nor repository yet, see MakeBoot and MakeRepository. For ToRead, the
// error is that Dir is not a directory. The caller closes the System.
func Open(at Place, purpose Purpose) (*System, error) {
	s := &System{Host: at.Host.Root, purpose: purpose}
	open := s.openRunning
	if at.Dir != "" {
		open = func(Host) error { return s.openDir(at.Dir) }
	}
	if err := open(at.Host); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// OpenNew opens a machine that is being installed, to change it: its root file system is
// mounted at the place's directory, and its EFI system partition at esp.
func OpenNew(at Place, esp string) (*System, error) {
	open := func() (*boot.Partition, error) { return boot.OpenDir(esp) }
	return openMounted(at, ToChange, open)
}

// OpenMounted opens a machine that is not running as Open does, with a boot partition that
// need not be below its root. It takes over the partition, also with an error.
func OpenMounted(at Place, p *boot.Partition, purpose Purpose) (*System, error) {
	taken := false
	s, err := openMounted(at, purpose, func() (*boot.Partition, error) {
		taken = true
		return p, nil
	})
	if !taken {
		err = errors.Join(err, p.Close())
	}
	return s, err
}

func openMounted(at Place, purpose Purpose, open func() (*boot.Partition, error)) (*System, error) {
	s := &System{Host: at.Host.Root, purpose: purpose}
	s.setRoot(os.OpenRoot(at.Dir))
	if s.Root != nil {
		s.setBoot(open())
	}
	if s.Boot != nil && purpose == ToRead {
		s.Boot.Of(s.Host, s.Root, s.Ledger())
	}
	err := s.missing()
	if err == nil {
		err = s.BootErr
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// A DirError says that a directory in which there should be a system cannot be opened.
type DirError struct {
	Dir string
	Err error // why
}

func (e *DirError) Error() string {
	return fmt.Sprintf("cannot open the system in %s: %v", e.Dir, e.Err)
}

func (e *DirError) Unwrap() error { return e.Err }

// newDirError leaves out the name of the directory that err has, too.
func newDirError(dir string, err error) error {
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		err = path.Err
	}
	return &DirError{dir, err}
}

func (s *System) openDir(dir string) error {
	if _, err := os.ReadDir(dir); err != nil && (s.purpose != ToRead || !errors.Is(err, fs.ErrPermission)) {
		return newDirError(dir, err)
	}
	s.setRoot(os.OpenRoot(dir))
	if s.BootErr = s.SysrootErr; s.Root != nil {
		s.setBoot(boot.FindIn(s.Host, s.Root))
	}
	return s.missing()
}

func (s *System) openRunning(host Host) error {
	s.Running, s.BootErr = host.Files, fs.ErrNotExist
	var err error
	if s.Booted, s.Mounts, err = sysroot.Booted(s.Host); err != nil && s.purpose != ToRead {
		return err
	}
	if s.purpose == ToChange {
		physical, err := sysroot.OpenWritable(s.Host)
		if err != nil {
			return err
		}
		s.Until(physical.Close)
		s.setRoot(physical.Root, nil)
	} else {
		s.setRoot(s.Host.OpenRoot(strings.TrimPrefix(deployment.SysrootDir, "/")))
	}
	// The boot partition of a machine that was not booted from a deployment is not ours.
	if s.Booted != "" && s.Root != nil {
		s.setBoot(boot.Find(s.Host, deployment.SysrootDir))
	}
	return s.missing()
}

// missing returns what could not be opened, nil for ToRead. What does not exist yet is
// not missing.
func (s *System) missing() error {
	switch {
	case s.purpose == ToRead:
		return nil
	case s.SysrootErr != nil:
		return fmt.Errorf("cannot open the physical root: %w", s.SysrootErr)
	case s.BootErr != nil && (s.Boot != nil || s.Running != nil || !errors.Is(s.BootErr, fs.ErrNotExist)):
		return s.BootErr
	case s.RepositoryErr != nil && !errors.Is(s.RepositoryErr, repo.ErrNotARepository):
		return s.RepositoryErr
	}
	return nil
}

// setRoot makes root the physical root, and opens the repository in it.
func (s *System) setRoot(root *os.Root, err error) {
	if s.SysrootErr = err; err != nil {
		s.RepositoryErr = err
		return
	}
	s.Until(root.Close)
	s.Root, s.Sysroot = root, root.FS()
	if s.purpose != ToRead {
		dir, err := root.Open(".")
		if err != nil {
			s.SysrootErr = err
			return
		}
		s.Until(dir.Close)
		s.Changes = durable.OSWith(root, dir)
	}
	repository, err := repo.OpenIn(root, deployment.RepositoryDir)
	if s.RepositoryErr = err; err == nil {
		s.setRepository(repository)
	}
}

func (s *System) setRepository(r *repo.Repository) {
	s.Repository, s.RepositoryErr = r, nil
	s.Until(r.Close)
}

// setBoot makes p the boot partition. To plan and to change, the machine claims what is its
// own there.
func (s *System) setBoot(p *boot.Partition, err error) {
	if s.BootErr = err; err != nil {
		return
	}
	s.Until(p.Close)
	s.Boot = p
	if s.purpose != ToRead {
		s.BootErr = p.Of(s.Host, s.Root, s.Ledger()).Claim()
	}
}

// MakeBoot gives a machine that is not running a directory as its boot partition, if it
// has none. It was opened to change it.
func (s *System) MakeBoot() error {
	if s.Boot != nil {
		return nil
	}
	if err := s.Root.Mkdir(BootDir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("cannot make /%s: %w", BootDir, err)
	}
	s.setBoot(boot.FindIn(s.Host, s.Root))
	return s.BootErr
}

// MakeRepository gives a machine without a repository an empty one. It was opened to
// change it.
func (s *System) MakeRepository() error {
	r, err := repo.InitIn(s.Root, deployment.RepositoryDir, repo.Options{})
	if err == nil {
		s.setRepository(r)
	}
	return err
}
