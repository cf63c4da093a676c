package install

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/grub"
	"github.com/sysupdate-image/sysupdate-image/internal/update"
)

// A RemoveOldPlan says what removing the old system beside deployments would remove.
type RemoveOldPlan struct {
	Former  string   `json:"former"`
	Names   []string `json:"names"`          // on the root file system
	Kept    []string `json:"kept"`           // what stays there, besides what is ours
	Entries []string `json:"entries"`        // boot entries
	Kernels []string `json:"kernels"`        // directories on the boot partition
	GRUB    string   `json:"grub,omitempty"` // the grub.cfg that is replaced; "" for none
	fatID   string   // of the boot partition, for that
	grub    *grub.Former
	proved  bool
}

// systemNames are the names that a system has in its root, as patterns. What else is there may
// be anybody's data, and stays.
var systemNames = []string{
	"bin", "bin.usr-is-merged", "boot", "dev", "etc", "initrd.img", "initrd.img.old", "lib", "lib.usr-is-merged", "lib32", "lib64", "libx32",
	"proc", "run", "sbin", "sbin.usr-is-merged", "sys", "tmp", "usr", "var", "vmlinuz", "vmlinuz.old",
}

// ErrNotProved says that the old system may still be needed.
var ErrNotProved = errors.New("cannot remove the old system: nothing shows that the new one has proved itself: boot it, and run this there once it is no longer on trial")

// ErrNothingOld says that there is no old system.
var ErrNothingOld = errors.New("there is no old system beside the deployments")

// PlanRemoveOld plans to remove the old system, except for names on the root file system that are
// kept. It changes nothing.
func PlanRemoveOld(m *update.Machine, keep []string) (RemoveOldPlan, error) {
	p := RemoveOldPlan{Former: nameOf(m.Root), Names: []string{}, Kept: []string{}, Entries: []string{}, Kernels: []string{}}
	var err error
	if p.proved, err = m.Proved(); err != nil {
		return p, err
	}
	list, err := durable.Names(m.Root, ".")
	if err != nil {
		return p, err
	}
	for _, name := range keep {
		if !slices.Contains(list, name) {
			return p, fmt.Errorf("cannot keep %s: there is no such name in the root of the old system", name)
		}
	}
	for _, name := range list {
		switch {
		case slices.Contains(ownNames, name):
		case slices.Contains(systemNames, name) && !slices.Contains(keep, name):
			p.Names = append(p.Names, name)
		default:
			p.Kept = append(p.Kept, name)
		}
	}
	if err := p.check(m); err != nil {
		return p, err
	}
	if i := slices.Index(p.Names, "usr"); i >= 0 { // last: it tells a run that goes on that there is something
		p.Names = append(slices.Delete(p.Names, i, i+1), "usr")
	}
	if err := p.findBoot(m); err != nil {
		return p, err
	}
	if p.grub, err = grub.FindFormer(m.Root); err != nil {
		return p, err
	}
	if p.grub == nil {
		return p, p.checkFirst(m)
	}
	p.GRUB = p.grub.Dir + "/grub.cfg"
	p.fatID, err = m.Boot.FATID(m.Host)
	return p, err
}

// ownNames are those of ours in the root, and of the file system.
var ownNames = []string{deployment.RepositoryDir, deployment.StateRoot, deployment.OtherDir, "sysroot", "lost+found"}

// findBoot finds what the old system has on the boot partition: kernel-install(8) names both
// entries and directories by the machine's id or another token.
func (p *RemoveOldPlan) findBoot(m *update.Machine) error {
	var tokens []string
	for _, name := range []string{"etc/machine-id", "etc/kernel/entry-token"} {
		text, err := bounded.ReadRoot(m.Root, name, limits.Text)
		if found, err := bounded.Found(err); err != nil {
			return err
		} else if token := strings.TrimSpace(string(text)); found && isToken(token) {
			tokens = append(tokens, token)
		}
	}
	entries, err := m.Boot.Entries()
	if err != nil {
		return err
	}
	for _, token := range tokens {
		for _, f := range entries {
			if !f.IsDeployment() && !slices.Contains(p.Entries, f.File) && (f.Entry.MachineID == token || strings.HasPrefix(f.File, token+"-")) {
				p.Entries = append(p.Entries, f.File)
			}
		}
		if info, err := m.Boot.Root().Stat(token); err == nil && info.IsDir() {
			p.Kernels = append(p.Kernels, token)
		}
	}
	return nil
}

// An OldFirstError says that the boot loader would boot another system than the deployments.
type OldFirstError struct{ Entry string }

func (e *OldFirstError) Error() string {
	return fmt.Sprintf("cannot remove the old system: the boot loader boots %s by default", e.Entry)
}

// checkFirst refuses a boot loader that would boot something else without the entries to remove.
func (p *RemoveOldPlan) checkFirst(m *update.Machine) error {
	s := m.State()
	files := slices.DeleteFunc(slices.Clone(s.Files), func(f boot.EntryFile) bool { return slices.Contains(p.Entries, f.File) })
	if c := s.Loader.Choose(files); c.ID != "" && !c.Entry.IsDeployment() {
		return &OldFirstError{c.ID}
	}
	return nil
}

// isToken reports whether a text may be the name of a directory of kernels, and of no other.
func isToken(text string) bool {
	return len(text) >= 8 && fs.ValidPath(text) && !strings.Contains(text, "/") && boot.IsOthers(text)
}

// Remove carries a plan out: first the old system is no longer booted, then it is removed. After a
// crash the new one boots, and what is left can be removed again.
func (p RemoveOldPlan) Remove(ctx context.Context, m *update.Machine, r update.Reporter) error {
	if !p.proved {
		return ErrNotProved
	}
	r.Step("Removing " + p.Former)
	if p.grub != nil {
		if err := p.grub.Replace(m.Changes, p.fatID); err != nil {
			return fmt.Errorf("cannot replace /%s: %w", p.GRUB, err)
		}
	}
	entries := durable.Until(ctx, durable.OS(m.Boot.Root()))
	for _, name := range p.Entries {
		if err := durable.Remove(entries, boot.EntryPath(name)); err != nil {
			return err
		}
	}
	for _, name := range p.Kernels {
		if err := durable.RemoveAll(entries, name); err != nil {
			return err
		}
	}
	root := durable.Until(ctx, m.Changes)
	for _, name := range p.Names {
		err := p.removeName(m, root, name)
		if err != nil {
			return fmt.Errorf("cannot remove /%s of the old system: %w", name, err)
		}
	}
	m.RememberOldRemoved(p.Former)
	return nil
}

// removeName removes a name in the root, but not the GRUB that boots the machine.
func (p RemoveOldPlan) removeName(m *update.Machine, root durable.FS, name string) error {
	if p.grub == nil || name != path.Dir(p.grub.Dir) {
		return durable.RemoveAll(root, name)
	}
	list, err := durable.Names(m.Root, name)
	if err != nil {
		return err
	}
	for _, below := range list {
		if below := path.Join(name, below); below != p.grub.Dir {
			if err := durable.RemoveAll(root, below); err != nil {
				return err
			}
		}
	}
	return nil
}
