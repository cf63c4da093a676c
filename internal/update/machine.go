// Package update changes what a machine boots: it fetches an image, writes the
// deployment that it makes, and has it boot next.
package update

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/sysupdate-image/sysupdate-image/internal/boot"
	"github.com/sysupdate-image/sysupdate-image/internal/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/etccarry"
	"github.com/sysupdate-image/sysupdate-image/internal/store"
	"github.com/sysupdate-image/sysupdate-image/internal/sysroot"
)

// A Machine is a system that is updated: its physical root with the repository
// and the deployments in it, and the partition that its boot loader reads.
type Machine struct {
	root   *os.Root
	repo   *store.Repository
	boot   *boot.Partition
	booted deployment.ID // "" unless it is the running machine
	etc    string        // how the booted deployment has its /etc
	warn   func(string)
	close  []func() error
}

// Open opens the machine whose physical root is the directory sysroot, or the
// running one if sysroot is empty, and keeps others from changing it until
// Close. A directory without a repository gets one. The error is store.ErrBusy
// while another changes the machine, and sysroot.ErrNotBooted if the running
// machine was not booted from an image. warn is told what an administrator
// should look at.
func Open(dir string, warn func(text string)) (*Machine, error) {
	m := &Machine{warn: warn}
	err := m.open(dir)
	if err == nil {
		err = m.openRepository()
	}
	if err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return m, nil
}

// OpenNew opens a machine that is being installed: its root file system is
// mounted at root and its EFI system partition at esp.
func OpenNew(root, esp string, warn func(text string)) (*Machine, error) {
	m := &Machine{warn: warn}
	err := m.openRoot(root)
	if err == nil {
		err = m.openBoot(boot.OpenDir(esp))
	}
	if err == nil {
		err = m.openRepository()
	}
	if err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return m, nil
}

func (m *Machine) open(dir string) error {
	if dir == "" {
		return m.openRunning()
	}
	if err := m.openRoot(dir); err != nil {
		return err
	}
	// The boot partition may be mounted there.
	if err := m.root.Mkdir("boot", 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("cannot make /boot: %w", err)
	}
	return m.openBoot(boot.OpenDir(filepath.Join(dir, "boot")))
}

func (m *Machine) openRunning() error {
	running, err := os.OpenRoot("/")
	if err != nil {
		return err
	}
	defer running.Close()
	booted, mounts, err := sysroot.Booted(running)
	if err != nil {
		return err
	}
	physical, err := sysroot.OpenWritable(running)
	if err != nil {
		return err
	}
	m.booted, m.etc, m.root = booted, etccarry.Mounted(mounts), physical.Root
	m.close = append(m.close, physical.Close)
	return m.openBoot(boot.Find(deployment.SysrootDir))
}

func (m *Machine) openRoot(dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("cannot open the physical root: %w", err)
	}
	m.root = root
	m.close = append(m.close, root.Close)
	return nil
}

func (m *Machine) openBoot(p *boot.Partition, err error) error {
	if err != nil {
		return err
	}
	m.boot = p
	m.close = append(m.close, p.Close)
	return nil
}

// openRepository opens the repository, making it where there is none, and
// takes its lock.
func (m *Machine) openRepository() error {
	repo, err := store.Init(filepath.Join(m.root.Name(), deployment.RepositoryDir), store.Options{})
	if err != nil {
		return err
	}
	m.repo = repo
	m.close = append(m.close, repo.Close)
	unlock, err := repo.Lock(true)
	if err != nil {
		return err
	}
	m.close = append(m.close, unlock)
	return repo.CleanUp()
}

// Close lets go of the machine.
func (m *Machine) Close() error {
	var errs []error
	for _, c := range slices.Backward(m.close) {
		errs = append(errs, c())
	}
	m.close = nil
	return errors.Join(errs...)
}
