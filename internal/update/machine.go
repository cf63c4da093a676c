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

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/repo"
	"github.com/sysupdate-image/sysupdate-image/internal/etc/carry"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/sysroot"
)

// A Machine is a system that is updated: its physical root with the repository
// and the deployments in it, and the partition that its boot loader reads.
type Machine struct {
	root    *os.Root
	changes durable.FS         // of root: through which it is changed
	repo    *repo.Repository   // nil where there is none yet, before prepare
	boot    *boot.Partition    // the same
	booted  deployment.ID      // "" unless it is the running machine
	running fs.FS              // root of the running machine
	etc     deployment.EtcMode // how the booted deployment keeps its /etc
	isNew   bool               // it is being installed
	warn    func(error)
	warned  bool // of an invalid staged record
	// toldBroken is set after a warning about a machine that no entry boots.
	toldBroken bool
	held       *repo.Lock // of repo
	state      *os.File   // the physical root, locked; nil while it is not
	close      []func() error
}

// Open opens the machine whose physical root is the directory dir, or the
// running one if dir is empty, and keeps others from changing it until Close.
// It makes nothing: a directory without boot directory and repository gets
// them when there is something to put into them. The error is repo.ErrBusy
// while another changes the machine, and sysroot.ErrNotBooted if the running
// machine was not booted from an image. warn is told what an administrator
// should look at.
func Open(dir string, warn func(error)) (*Machine, error) {
	m := &Machine{warn: warn}
	err := m.open(dir, false)
	if err == nil {
		err = m.openRepository(true)
	}
	if err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return m, nil
}

// OpenToPlan opens the machine as Open does, to plan only: others may change
// it meanwhile, and nothing may be done to it but Plan.
func OpenToPlan(dir string, warn func(error)) (*Machine, error) {
	m := &Machine{warn: warn}
	err := m.open(dir, true)
	if err == nil {
		err = m.openRepository(false)
	}
	if err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return m, nil
}

// OpenToSwitch opens the machine as Open does, to change what it boots and nothing in
// the repository: another may fetch an image meanwhile.
func OpenToSwitch(dir string, warn func(error)) (*Machine, error) {
	m := &Machine{warn: warn}
	err := m.open(dir, false)
	if err == nil {
		err = m.openRepository(false)
	}
	if err == nil && m.repo != nil {
		err = m.lock(false)
	}
	if err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return m, nil
}

// OpenNew opens a machine that is being installed: its root file system is
// mounted at root and its EFI system partition at esp.
func OpenNew(root, esp string, warn func(error)) (*Machine, error) {
	m := &Machine{warn: warn, isNew: true}
	err := m.openRoot(root)
	if err == nil {
		err = m.openBoot(boot.OpenDir(esp))
	}
	if err == nil {
		err = m.openRepository(true)
	}
	if err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return m, nil
}

func (m *Machine) open(dir string, toPlan bool) error {
	if dir == "" {
		return m.openRunning(toPlan)
	}
	if err := m.openRoot(dir); err != nil {
		return err
	}
	return m.openBootDir()
}

func (m *Machine) openRunning(toPlan bool) error {
	running, err := os.OpenRoot("/")
	if err != nil {
		return err
	}
	defer running.Close()
	booted, mounts, err := sysroot.Booted(running)
	if err != nil {
		return err
	}
	m.booted, m.etc, m.running = booted, carry.Mounted(mounts), os.DirFS("/")
	if toPlan {
		err = m.openRoot(deployment.SysrootDir)
	} else {
		err = m.openWritable(running)
	}
	if err != nil {
		return err
	}
	return m.openBoot(boot.Find(deployment.SysrootDir))
}

// openWritable opens the physical root of the running machine to change it.
func (m *Machine) openWritable(running *os.Root) error {
	physical, err := sysroot.OpenWritable(running)
	if err != nil {
		return err
	}
	m.close = append(m.close, physical.Close)
	return m.use(physical.Root)
}

func (m *Machine) openRoot(dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("cannot open the physical root: %w", err)
	}
	m.close = append(m.close, root.Close)
	return m.use(root)
}

// use makes root the physical root of the machine.
func (m *Machine) use(root *os.Root) error {
	dir, err := root.Open(".")
	if err != nil {
		return fmt.Errorf("cannot open the physical root: %w", err)
	}
	m.close = append(m.close, dir.Close)
	m.root, m.changes = root, durable.OSWith(root, dir)
	return nil
}

func (m *Machine) openBoot(p *boot.Partition, err error) error {
	if err != nil {
		return err
	}
	m.boot = p.Of(m.root, ledger{m})
	m.close = append(m.close, p.Close)
	return m.boot.Claim()
}

// bootDir is where a machine that does not run gets its boot partition, if nothing
// is mounted elsewhere.
const bootDir = "boot"

// openBootDir opens the boot directory, if there is one.
func (m *Machine) openBootDir() error {
	p, err := boot.FindIn(m.root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return m.openBoot(p, err)
}

// openRepository opens the repository, if there is one, and locks it.
func (m *Machine) openRepository(lock bool) error {
	repository, err := repo.OpenIn(m.root, deployment.RepositoryDir)
	if errors.Is(err, repo.ErrNotARepository) {
		return nil
	}
	if err != nil {
		return err
	}
	m.repo = repository
	m.close = append(m.close, repository.Close)
	if lock {
		return m.lock(true)
	}
	return nil
}

// prepare makes the boot directory and the repository, where there are none.
// What earlier versions made wrong is corrected.
// A running machine that has lost all its boot entries gets new ones by force.
func (m *Machine) prepare(force bool) error {
	if err := m.checkBoot(); err != nil && (m.booted == "" || !force) {
		return err
	}
	if m.boot == nil {
		if err := m.root.Mkdir(bootDir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("cannot make /%s: %w", bootDir, err)
		}
		if err := m.openBootDir(); err != nil {
			return err
		}
	}
	if m.repo != nil {
		if err := m.restrict(); err != nil {
			return err
		}
		return m.correctVarLinks()
	}
	repo, err := repo.InitIn(m.root, deployment.RepositoryDir, repo.Options{})
	if err != nil {
		return err
	}
	m.repo = repo
	m.close = append(m.close, repo.Close)
	return errors.Join(m.lock(true), m.restrict())
}

// repositoryDir returns what people call the repository.
func (m *Machine) repositoryDir() string {
	return filepath.Join(m.root.Name(), deployment.RepositoryDir)
}

// restrict keeps others out of the repository.
func (m *Machine) restrict() error {
	was, err := m.repo.Restrict()
	if err != nil {
		return fmt.Errorf("%s: %w", m.repositoryDir(), err)
	}
	if was != 0 {
		m.warn(fmt.Errorf("%s had mode %04o, so other users could read protected files of the images; its mode is now 0700", m.repositoryDir(), was))
	}
	return nil
}

// A LostEntriesError reports that the booted deployment has no boot entry, as if another
// machine's boot partition was mounted.
type LostEntriesError struct {
	ID    deployment.ID
	Where string // entries were looked for
}

func (e *LostEntriesError) Error() string {
	return fmt.Sprintf("booted deployment %s has no boot entry %s: is this the machine's boot partition?", e.ID.Short(), e.Where)
}

// checkBoot refuses a boot partition that is not the machine's: it has deployments,
// and none of them has an entry there. They would be taken for superseded.
func (m *Machine) checkBoot() error {
	files, err := m.entries()
	if err != nil || slices.ContainsFunc(files, boot.EntryFile.IsDeployment) {
		return err
	}
	if m.booted != "" {
		return &LostEntriesError{m.booted, m.whereEntries()}
	}
	list, err := fs.ReadDir(m.root.FS(), deployment.DeployDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, d := range list {
		id, parseErr := deployment.ParseID(d.Name())
		if parseErr != nil {
			continue
		}
		listed, listedErr := m.wasListed(id)
		if listed {
			return fmt.Errorf("deployment %s has no boot entry %s: is the machine's boot partition mounted there?", id.Short(), m.whereEntries())
		}
		err = errors.Join(err, listedErr)
	}
	return err
}

// wasListed reports whether a deployment must have had a boot entry: not so if its
// first apply was cut off.
func (m *Machine) wasListed(id deployment.ID) (bool, error) {
	local, err := fs.ReadDir(m.root.FS(), id.EtcDir())
	if len(local) > 0 {
		return true, nil // it is filled when the machine boots, or by another
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	if _, err = m.root.Lstat(id.OriginFile()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	if err != nil || m.isNew || m.boot == nil {
		return err == nil && !m.isNew, nil
	}
	written, err := m.boot.WasWritten()
	return !written, err
}

// onWhich says which boot partition was taken for that of a machine that does not run.
func (m *Machine) onWhich() string {
	if m.booted != "" {
		return ""
	}
	return ", with the boot partition at " + m.boot.String()
}

// whereEntries says where boot entries were looked for.
func (m *Machine) whereEntries() string {
	if m.boot != nil {
		return "on " + m.boot.String()
	}
	return "in " + filepath.Join(m.root.Name(), bootDir)
}

// entries returns the files in the directory of boot entries, as
// boot.Partition.Entries does.
func (m *Machine) entries() ([]boot.EntryFile, error) {
	if m.boot == nil {
		return nil, nil
	}
	return m.boot.Entries()
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
