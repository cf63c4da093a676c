// Package update changes what a machine boots: it fetches an image, writes its deployment,
// and makes it the next to boot. Open locks the machine, Plan decides, and Apply carries
// the decision out; Rollback, Pin, Remove and Prune are the other changes.
//
//	m, err := update.Open(place, warn)
//	if err != nil { … }
//	defer m.Close()
//	result, err := m.Apply(ctx, update.Options{Reference: "registry.example.org/os:stable"}, reporter)
//
// If a change fails or is cut off by a crash, the next boot is as before, and doing the same
// again completes it.
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
	"github.com/sysupdate-image/sysupdate-image/internal/machine"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/esps"
)

// A Machine is a system that is updated, locked so that no other program changes it.
type Machine struct {
	*machine.System
	etc    deployment.EtcMode // how the booted deployment keeps its /etc
	isNew  bool               // it is being installed
	warn   func(error)
	warned bool // of an invalid staged record
	// toldBroken is set after a warning about a machine that no entry boots.
	toldBroken bool
	newVar     *os.Root // on its partition, the directory for a fresh /var; nil if there is none
	// openVar mounts a partition of /var; a test has other ones.
	openVar func(deployment.VarPartition) (varTop, error)
	esps    esps.System // where further EFI system partitions are; a test has other ones
	held    *repo.Lock  // of the repository; nil where there is none yet, before prepare
	state   *os.File    // the physical root, locked; nil while it is not
}

// Open opens a machine and keeps others from changing it until Close. The error is
// repo.ErrBusy while another changes the machine, and sysroot.ErrNotBooted if the running
// machine was not booted from an image. warn is told what an administrator should look at.
func Open(at machine.Place, warn func(error)) (*Machine, error) {
	system, err := machine.Open(at, machine.ToChange)
	return take(system, err, warn, (*Machine).lockAll)
}

// OpenToPlan opens the machine as Open does, to plan only: others may change
// it meanwhile, and nothing may be done to it but Plan.
func OpenToPlan(at machine.Place, warn func(error)) (*Machine, error) {
	system, err := machine.Open(at, machine.ToPlan)
	return take(system, err, warn, func(*Machine) error { return nil })
}

// OpenToSwitch opens the machine as Open does, to change what it boots and nothing in
// the repository: another may fetch an image meanwhile.
func OpenToSwitch(at machine.Place, warn func(error)) (*Machine, error) {
	system, err := machine.Open(at, machine.ToChange)
	return take(system, err, warn, (*Machine).lockShared)
}

// OpenNew opens a machine that is being installed: its root file system is mounted at the
// place's directory and its EFI system partition at esp.
func OpenNew(at machine.Place, esp string, warn func(error)) (*Machine, error) {
	system, err := machine.OpenNew(at, esp)
	return takeNew(system, err, warn)
}

// OpenNewOn is OpenNew for a boot partition that is open, which it takes over.
func OpenNewOn(at machine.Place, p *boot.Partition, warn func(error)) (*Machine, error) {
	system, err := machine.OpenMounted(at, p, machine.ToChange)
	return takeNew(system, err, warn)
}

func takeNew(system *machine.System, err error, warn func(error)) (*Machine, error) {
	m, err := take(system, err, warn, (*Machine).lockAll)
	if err == nil {
		m.isNew = true
	}
	return m, err
}

// take makes a system that was opened, or an error instead, a Machine, and locks it.
func take(system *machine.System, err error, warn func(error), lock func(*Machine) error) (*Machine, error) {
	if err != nil {
		return nil, err
	}
	m := &Machine{System: system, warn: warn, esps: esps.Host()}
	m.openVar = m.mountVar
	if m.Running != nil {
		m.etc = carry.Mounted(m.Mounts)
	}
	if m.Repository != nil {
		err = lock(m)
	}
	if err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return m, nil
}

// prepare makes the boot directory and the repository if they are missing, and corrects
// mistakes of earlier versions. With force, a running machine that has lost all its boot
// entries gets new ones.
func (m *Machine) prepare(force bool) error {
	if err := m.checkBoot(); err != nil && (m.Booted == "" || !force) {
		return err
	}
	if err := m.MakeBoot(); err != nil {
		return err
	}
	if m.Repository != nil {
		if err := m.restrict(); err != nil {
			return err
		}
		return m.correctVarLinks()
	}
	if err := m.MakeRepository(); err != nil {
		return err
	}
	return errors.Join(m.lockAll(), m.restrict())
}

// repositoryDir returns what people call the repository.
func (m *Machine) repositoryDir() string {
	return filepath.Join(m.Root.Name(), deployment.RepositoryDir)
}

// restrict keeps others out of the repository.
func (m *Machine) restrict() error {
	was, err := m.Repository.Restrict()
	if err != nil {
		return fmt.Errorf("%s: %w", m.repositoryDir(), err)
	}
	if was != 0 {
		m.warn(fmt.Errorf("%s had mode %04o, so other users could read protected files of the images; its mode is now 0700", m.repositoryDir(), was))
	}
	return nil
}

// isOpen reports whether restrict would change the repository. The error is its refusal.
func (m *Machine) isOpen() (bool, error) {
	if m.Repository == nil {
		return false, nil
	}
	mode, err := m.Repository.CheckAccess()
	if err != nil {
		err = fmt.Errorf("%s: %w", m.repositoryDir(), err)
	}
	return mode != 0, err
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
	if m.Booted != "" {
		return &LostEntriesError{m.Booted, m.whereEntries()}
	}
	list, err := fs.ReadDir(m.Root.FS(), deployment.DeployDir)
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
	local, err := fs.ReadDir(m.Root.FS(), id.EtcDir())
	if len(local) > 0 {
		return true, nil // it is filled when the machine boots, or by another
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	if _, err = m.Root.Lstat(id.OriginFile()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	if err != nil || m.isNew || m.Boot == nil {
		return err == nil && !m.isNew, nil
	}
	written, err := m.Boot.WasWritten()
	return !written, err
}

// onWhich says which boot partition was taken for that of a machine that does not run.
func (m *Machine) onWhich() string {
	if m.Booted != "" {
		return ""
	}
	return ", with the boot partition at " + m.Boot.String()
}

// whereEntries says where boot entries were looked for.
func (m *Machine) whereEntries() string {
	if m.Boot != nil {
		return "on " + m.Boot.String()
	}
	return "in " + filepath.Join(m.Root.Name(), machine.BootDir)
}

// entries returns the files in the directory of boot entries, as
// boot.Partition.Entries does.
func (m *Machine) entries() ([]boot.EntryFile, error) {
	if m.Boot == nil {
		return nil, nil
	}
	return m.Boot.Entries()
}
