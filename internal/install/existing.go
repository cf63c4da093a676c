package install

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/sysupdate-image/sysupdate-image/internal/etc/carry"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
	"github.com/sysupdate-image/sysupdate-image/internal/machine"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/grub"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/sysroot"
	"github.com/sysupdate-image/sysupdate-image/internal/update"
)

// ExistingOptions say how to install beside a system that is there: Root is where its root is
// mounted, and ESP may be "" for where it has its EFI system partition mounted.
type ExistingOptions struct {
	Options
	KeepEtc []string // patterns of files in its /etc to take over; see carry.Keep
}

// An ExistingPlan says what installing beside a system would do.
type ExistingPlan struct {
	Root    string   `json:"root"`
	ESP     string   `json:"esp"`
	Former  string   `json:"former"` // the name of the system
	Loader  string   `json:"bootloader"`
	Kargs   []string `json:"kernelArguments,omitempty"`
	Rooted  []string `json:"rootArguments,omitempty"` // by which the root is found
	Keep    []string `json:"keepEtc,omitempty"`
	OldBoot string   `json:"oldBoot,omitempty"`    // UUID of the file system with the Menu, if that is not the root
	Menu    string   `json:"grubMenu,omitempty"`   // the file by which GRUB's menu gets an entry, relative to the root
	First   string   `json:"firstEntry,omitempty"` // ID of the entry that systemd-boot boots now
	Room    []Space  `json:"room"`
	Verity  Verity   `json:"verity"`
	About   Image    `json:"image"`

	options ExistingOptions
	keep    carry.Keep
	grub    *grub.Former // whose menu gets an entry; nil for another loader
	fatID   string       // of the EFI system partition, for GRUB
}

// A Space is what an installation takes of a file system, in bytes, and what is free.
type Space struct {
	Where string `json:"where"`
	Need  int64  `json:"need"` // 0 if it is not known
	Free  int64  `json:"free"`
}

// ErrIsImage says that a system was booted from an image.
var ErrIsImage = errors.New("it runs an image already")

// ErrNoSystem says that there is no system.
var ErrNoSystem = errors.New("there is no system: want the root of one with /etc and /usr")

// ErrTaken says that names that are needed on the root file system are in use.
var ErrTaken = errors.New("is in the way: it was not made by this program")

// PlanExisting looks at an image and at the system that is there, and plans an installation
// beside it. It changes nothing.
func PlanExisting(ctx context.Context, o ExistingOptions, r update.Reporter, warn func(error)) (ExistingPlan, error) {
	of := o.Options
	of.Loader = deployment.NoLoader // it is that of the old system
	of.BlockSetup = Direct          // and so are the file systems
	img, err := look(ctx, of, r)
	if err != nil {
		return ExistingPlan{}, err
	}
	p := ExistingPlan{Root: o.Root, ESP: o.ESP, About: img}
	if err := o.complete(); err != nil {
		return p, err
	}
	o.Kargs = append(img.config.Arguments(), o.Kargs...)
	p.options, p.Kargs = o, o.leftKargs(o.Kargs)
	root, err := os.OpenRoot(o.Root)
	if err != nil {
		return p, fmt.Errorf("cannot install: %w", err)
	}
	defer root.Close()
	for _, step := range []func(*os.Root) error{
		p.checkFormer, p.checkNames, p.findESP,
		func(root *os.Root) error { return p.findLoader(root, o.Loader, warn) },
		p.findOldBoot,
		func(*os.Root) error { return p.findRoot(warn) },
		func(root *os.Root) error { return p.checkKeep(root, o.KeepEtc) },
		p.checkRoom,
	} {
		if err := step(root); err != nil {
			return p, fmt.Errorf("cannot install beside the system at %s: %w", o.Root, err)
		}
	}
	p.warnOfFstab(root, warn)
	p.First, err = p.firstEntry()
	return p, err
}

// checkFormer finds out which system there is.
func (p *ExistingPlan) checkFormer(root *os.Root) error {
	for _, name := range []string{"sysroot/" + deployment.RepositoryDir, "sysroot/ostree", "run/ostree-booted"} {
		if _, err := root.Lstat(name); err == nil {
			return ErrIsImage
		}
	}
	if isSame(root, ".", p.options.Host.Root, "sysroot") {
		if _, _, err := sysroot.Booted(p.options.Host.Root); err == nil {
			return ErrIsImage
		}
	}
	for _, dir := range []string{"etc", "usr"} {
		if info, err := root.Stat(dir); err != nil || !info.IsDir() {
			return ErrNoSystem
		}
	}
	p.Former = nameOf(root)
	return nil
}

// checkNames refuses names on the root file system that are needed and are somebody else's.
func (p *ExistingPlan) checkNames(root *os.Root) error {
	if _, err := root.Lstat(deployment.RepositoryDir + "/meta.json"); err == nil {
		return nil // an earlier run made all of them
	}
	for name, own := range begunNames {
		list, err := durable.Names(root, name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil && slices.ContainsFunc(list, func(n string) bool { return !slices.Contains(own, n) }) || errors.Is(err, syscall.ENOTDIR) {
			err = fmt.Errorf("%s %w", filepath.Join(p.Root, name), ErrTaken)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// begunNames are those that a run which was interrupted may have left in our directories, before
// there is a repository.
var begunNames = map[string][]string{
	deployment.RepositoryDir: {"objects", "images", "streams", "meta.json" + durable.TempSuffix},
	deployment.StateRoot:     {path.Base(deployment.StateDir), path.Base(deployment.DeployDir), "os"},
}

// checkKeep refuses files to keep that are not there.
func (p *ExistingPlan) checkKeep(root *os.Root, patterns []string) (err error) {
	etc, err := fs.Sub(root.FS(), "etc")
	if err == nil {
		p.keep, err = carry.CheckKeep(etc, patterns)
	}
	p.Keep = p.keep
	return err
}

// findRoot finds out by which kernel arguments the root is found.
func (p *ExistingPlan) findRoot(warn func(error)) (err error) {
	p.options.ESP, p.options.Loader = p.ESP, p.Loader
	p.Rooted, err = findRoot(p.options.Options, warn)
	return err
}

// checkRoom refuses an installation for which there is not enough room.
func (p *ExistingPlan) checkRoom(root *os.Root) error {
	p.Verity = rootVerity(root)
	for _, s := range []Space{{Where: p.Root, Need: p.About.Bytes}, {Where: p.ESP, Need: p.About.kernel}} {
		dir, err := os.Open(s.Where)
		if err != nil {
			return err
		}
		s.Free, _, err = sys.Space(dir)
		if err = errors.Join(err, dir.Close()); err != nil {
			return err
		}
		if p.Room = append(p.Room, s); s.Need > s.Free {
			return fmt.Errorf("%s has too little room: %d MiB needed, %d MiB free", s.Where, s.Need>>20+1, s.Free>>20)
		}
	}
	return nil
}

// Install carries a plan out. Until the last step, the machine boots what it boots now; after
// a failure, Install again goes on.
func (p ExistingPlan) Install(ctx context.Context, r update.Reporter, warn func(error)) (update.Result, error) {
	o := p.options
	root, err := os.OpenRoot(p.Root)
	if err != nil {
		return update.Result{}, err
	}
	defer root.Close()
	m, err := update.OpenNew(machine.Place{Host: o.Host, Dir: p.Root}, p.ESP, warn)
	if err != nil {
		return update.Result{}, err
	}
	defer m.Close()
	if err := m.PrepareLoader(p.Loader); err != nil {
		return update.Result{}, err
	}
	apply := o.apply(p.Rooted)
	apply.Loader, apply.Former = "", &update.Former{Root: root, Keep: p.keep}
	result, err := m.Apply(ctx, apply, r)
	if err != nil {
		return result, err
	}
	warnOfLoader(p.Loader, warn)
	if p.grub != nil {
		r.Step("Adding an entry to GRUB's menu")
		return result, p.enterGRUB(m.Boot, root)
	}
	return result, p.warnOfFirst(m.Boot, result.ID, warn)
}

// enterGRUB has the GRUB that is there lead to the boot partition.
func (p ExistingPlan) enterGRUB(entries *boot.Partition, root *os.Root) error {
	config := grub.Loader{}.Config()
	if err := entries.WriteFile(config.Path, config.Content); err != nil {
		return err
	}
	if err := p.grub.Enter(durable.OS(root), root, p.fatID, true); err != nil {
		return fmt.Errorf("the system is installed, but GRUB's menu has no entry for it: %w", err)
	}
	return nil
}

// ErrNoOld says that there is no old system whose GRUB could be told what to boot.
var ErrNoOld = errors.New("there is no old system with GRUB on the root file system")

// BootOld has the system beside which a machine's deployments were installed boot by default, or
// the deployments.
func BootOld(m *update.Machine, old bool) error {
	former, err := grub.FindFormer(m.Root)
	if err != nil {
		return err
	}
	if former == nil || former.Replaced() {
		return ErrNoOld
	}
	return former.SetFirst(m.Changes, m.Root, !old)
}
