package boot

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
)

// mountPoints are where the boot partition of a machine that does not run may be
// mounted, below its root.
var mountPoints = []string{"boot", "efi", "boot/efi"}

// FindIn opens the boot partition of a machine that does not run and whose root is
// mounted: the first of boot, efi and boot/efi below it that has a boot entry of one of
// its deployments, or else the first at which something is mounted, or else the
// directory boot. The error is fs.ErrNotExist if there is none of these. Host is the root
// directory of the running system, which must stay open as long as the partition.
func FindIn(host, root *os.Root) (*Partition, error) {
	var found []*Partition
	for _, dir := range mountPoints {
		p, err := openBelow(host, root, dir)
		switch {
		case err == nil:
			found = append(found, p)
		case errors.Is(err, fs.ErrNotExist) && !isThere(root, dir):
		case dir == mountPoints[0], !mayBeOther(root, dir):
			return nil, errors.Join(err, closeBut(nil, found))
		}
	}
	p, err := choose(root, found)
	if err != nil {
		return nil, errors.Join(err, closeBut(nil, found))
	}
	if err := closeBut(p, found); err != nil || p != nil {
		return p, err
	}
	return nil, fmt.Errorf("cannot find boot partition: no directory %s: %w", mountPoints[0], fs.ErrNotExist)
}

// choose returns the boot partition among the directories that there are, nil if none
// of them is it.
func choose(root *os.Root, found []*Partition) (*Partition, error) {
	for _, p := range found {
		if has, err := p.hasDeployment(); has || err != nil {
			return p, err
		}
	}
	for _, p := range found {
		if mounted, err := p.isMountedBelow(root); mounted || err != nil {
			return p, err
		}
	}
	i := slices.IndexFunc(found, func(p *Partition) bool { return p.name == filepath.Join(root.Name(), mountPoints[0]) })
	if i < 0 {
		return nil, nil
	}
	return found[i], nil
}

func closeBut(kept *Partition, found []*Partition) error {
	var errs []error
	for _, p := range found {
		if p != kept {
			errs = append(errs, p.Close())
		}
	}
	return errors.Join(errs...)
}

// openBelow opens a directory below a root. A link that leads out of it is an error.
func openBelow(host, root *os.Root, dir string) (*Partition, error) {
	below, err := root.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("cannot open boot partition: %w", err)
	}
	p, err := newPartition(filepath.Join(root.Name(), dir), below, nil)
	if err != nil {
		return nil, err
	}
	if p.machine, err = root.OpenRoot("."); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	p.close = append(p.close, p.machine)
	p.host = host
	return p, nil
}

// isThere reports whether there is something of that name, if only a link to nothing.
func isThere(root *os.Root, name string) bool {
	_, err := root.Lstat(name)
	return !errors.Is(err, fs.ErrNotExist)
}

// mayBeOther reports whether a name is no directory: efi and boot/efi are often links to
// where the running machine has it.
func mayBeOther(root *os.Root, name string) bool {
	info, err := root.Lstat(name)
	return err == nil && !info.IsDir()
}

// isMountedBelow reports whether the partition is mounted somewhere below a root.
func (p *Partition) isMountedBelow(root *os.Root) (bool, error) {
	dir, err := root.Open(".")
	if err != nil {
		return false, err
	}
	defer dir.Close()
	above, err := sys.Statx(dir, "")
	if err != nil {
		return false, err
	}
	ours, err := sys.Statx(p.dir, "")
	return ours.MountID != above.MountID, err
}

// hasDeployment reports whether there is a boot entry of one of the machine's deployments.
func (p *Partition) hasDeployment() (bool, error) {
	files, err := p.Entries()
	return slices.ContainsFunc(files, EntryFile.IsDeployment), err
}

// WasWritten reports whether a kernel of a deployment was ever to be written to the
// partition. That comes before all else of a deployment, and survives what comes after.
func (p *Partition) WasWritten() (bool, error) { return p.exists(scratchDir) }
