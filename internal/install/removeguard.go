package install

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/mountplan"
	"github.com/sysupdate-image/sysupdate-image/internal/update"
)

// An OldNeededError says that something that stays needs what would be removed.
type OldNeededError struct{ Name, By string }

func (e *OldNeededError) Error() string {
	return fmt.Sprintf("cannot remove /%s of the old system: it is needed by %s", e.Name, e.By)
}

// ErrOldRuns says that the old system is the running one.
var ErrOldRuns = errors.New("cannot remove the old system: it is running; boot the image first")

// check refuses to remove what something needs that stays, and anything where there is no old
// system: the root of a machine that was installed on a disk may have /boot.
func (p *RemoveOldPlan) check(m *update.Machine) error {
	if !slices.Contains(p.Names, "usr") && !slices.Contains(p.Names, "etc") && !slices.Contains(p.Names, "var") {
		return ErrNothingOld
	}
	if isSame(m.Root, ".", m.Host, ".") {
		return ErrOldRuns
	}
	if err := mountedFrom(m.Mounts, p.Names); err != nil {
		return err
	}
	for _, dir := range []string{"boot", "boot/efi"} {
		if first, _, _ := strings.Cut(dir, "/"); slices.Contains(p.Names, first) && isSame(m.Boot.Root(), ".", m.Root, dir) {
			return &OldNeededError{first, "the deployments, whose kernels are there"}
		}
	}
	for _, name := range p.Kept {
		if to := p.leadsTo(m.Root, name); to != "" {
			return &OldNeededError{to, "/" + name + ", which leads there"}
		}
	}
	return nil
}

// isSame reports whether two directories are the same one.
func isSame(a *os.Root, nameA string, b *os.Root, nameB string) bool {
	infoA, errA := a.Stat(nameA)
	infoB, errB := b.Stat(nameB)
	return errA == nil && errB == nil && os.SameFile(infoA, infoB)
}

// leadsTo returns the name to be removed into which a symbolic link leads, "" for none.
func (p *RemoveOldPlan) leadsTo(root *os.Root, name string) string {
	info, err := root.Lstat(name)
	if err != nil || info.Mode().Type() != fs.ModeSymlink {
		return ""
	}
	target, err := root.Readlink(name)
	if err != nil {
		return ""
	}
	first, _, _ := strings.Cut(path.Join("/", target)[1:], "/")
	if slices.Contains(p.Names, first) {
		return first
	}
	return ""
}

// mountedFrom refuses names in the physical root where something is mounted, or from which
// something is mounted elsewhere, such as a database of the old system that the new one uses.
func mountedFrom(mounts []mountplan.Mounted, names []string) error {
	physical, ok := mountplan.At(mounts, deployment.SysrootDir)
	for _, m := range mounts {
		for _, name := range names {
			from := ok && m.Device == physical.Device && isBelow(m.Root, path.Join(physical.Root, name))
			if from || isBelow(m.Where, path.Join(deployment.SysrootDir, name)) {
				return &OldNeededError{name, "the mount at " + m.Where}
			}
		}
	}
	return nil
}

func isBelow(name, dir string) bool { return name == dir || strings.HasPrefix(name, dir+"/") }
