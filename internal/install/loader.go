package install

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/grubimage"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/format/partition"
	"github.com/sysupdate-image/sysupdate-image/internal/image/installconfig"
	"github.com/sysupdate-image/sysupdate-image/internal/install/device"
	"github.com/sysupdate-image/sysupdate-image/internal/install/layout"
	"github.com/sysupdate-image/sysupdate-image/internal/install/tools"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/grub"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/loader"
)

// Loaders are the kinds of boot loaders, the default first.
var Loaders = deployment.LoaderKinds

// loaderOf returns the kind of boot loader: what an option says, or else what the image wants,
// or else what it has.
func loaderOf(option string, c installconfig.Config, has func(path string) bool, goarch string) (string, error) {
	kind := option
	if kind == "" && c.Bootloader != nil {
		kind = *c.Bootloader
	}
	switch kind {
	case "":
		return cmp.Or(loader.Choose(has, goarch), Loaders[0]), nil
	case "systemd": // as bootc calls it
		return deployment.SystemdBoot, nil
	}
	if !slices.Contains(Loaders, kind) {
		return "", fmt.Errorf("boot loader %q is not supported: want %s", kind, strings.Join(Loaders, ", "))
	}
	return kind, nil
}

// noStart says why nothing would start an image with GRUB: a BIOS cannot, and its GRUB is for
// that only.
func noStart(img Image, has func(string) bool, arch string) error {
	if img.loader == deployment.GRUB && !img.bios && grub.HasBIOS(has, arch) && !grub.HasEFI(has, arch) {
		return errors.New("cannot install boot loader: the image has GRUB for a BIOS only, which cannot boot its unified kernel image")
	}
	return nil
}

// biosSector is the only size of a sector with which a BIOS starts a disk.
const biosSector = 512

// checkSector says that a BIOS does not start a disk with sectors of another size.
func (p *DiskPlan) checkSector(sector int64) error {
	if sector == biosSector || !p.options.bios {
		return nil
	}
	if p.About.onlyBIOS {
		return fmt.Errorf("no BIOS can boot %s, which has sectors of %d bytes, and the image's GRUB is for a BIOS only", p.Disk, sector)
	}
	p.options.bios = false // UEFI starts it
	return nil
}

// A LoaderLimitError warns of what a boot loader cannot do.
type LoaderLimitError struct{ Kind string }

var loaderLimits = map[string]string{
	deployment.NoLoader: "without a boot loader, the firmware or the hypervisor must be given the kernel, the initramfs and the kernel command line " +
		"of the boot entry, again after each update; boots are counted by the initramfs alone",
}

func (e *LoaderLimitError) Error() string { return loaderLimits[e.Kind] }

// warnOfLoader tells once what a boot loader cannot do.
func warnOfLoader(kind string, warn func(error)) {
	if loaderLimits[kind] != "" {
		warn(&LoaderLimitError{kind})
	}
}

// installBIOS has a BIOS start GRUB: its core image goes to a partition of its own, and what
// starts that to the first sector of the disk.
func (p DiskPlan) installBIOS(ctx context.Context, d *device.Disk, table partition.Table, l loader.Loader) error {
	_, number, planned := p.Layout.Of(layout.BIOS)
	if !planned || l.GRUB == nil || l.GRUB.BIOS == "" {
		return nil
	}
	if err := p.writeBIOS(ctx, d, table, number, *l.GRUB); err != nil {
		return fmt.Errorf("cannot install GRUB for a BIOS on %s: %w", p.Disk, err)
	}
	return nil
}

func (p DiskPlan) writeBIOS(ctx context.Context, d *device.Disk, table partition.Table, number int, l grub.Loader) error {
	dir, err := os.MkdirTemp("", "sysupdate-image-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	img, core, err := p.makeCore(ctx, dir, l)
	if err != nil {
		return err
	}
	entry, _ := table.Partition(number)
	at := entry.Start / d.Sector
	code, err := grubimage.Boot(img, at)
	if err != nil {
		return err
	}
	if core, err = grubimage.Core(core, at); err != nil {
		return err
	}
	if int64(len(core)) > entry.Size {
		return fmt.Errorf("GRUB's core image has %d bytes, more than the %d of its partition", len(core), entry.Size)
	}
	if _, err := d.WriteAt(core, entry.Start); err != nil {
		return err
	}
	_, err = d.WriteAt(code, 0)
	return err
}

// makeCore has grub-mkimage make a core image of an image's modules, and returns it with
// boot.img. Dir is for its files.
func (p DiskPlan) makeCore(ctx context.Context, dir string, l grub.Loader) (img, core []byte, err error) {
	for _, f := range l.ModuleFiles() {
		if err := os.WriteFile(filepath.Join(dir, f.Path), f.Content, 0o600); err != nil {
			return nil, nil, err
		}
	}
	output := filepath.Join(dir, "core.img")
	if err := p.coreCommand(dir, output).Run(ctx); err != nil {
		return nil, nil, err
	}
	if img, err = bounded.ReadPath(filepath.Join(dir, "boot.img"), limits.Text); err != nil {
		return nil, nil, err
	}
	core, err = bounded.ReadPath(output, limits.Loader)
	return img, core, err
}

// coreCommand returns the command that makes a core image of the modules in a directory.
func (p DiskPlan) coreCommand(dir, output string) tools.Command {
	role := layout.ESP
	if _, _, ok := p.Layout.Of(layout.Boot); ok {
		role = layout.Boot
	}
	_, number, _ := p.Layout.Of(role)
	return tools.Command{Name: mkimage(), Args: grub.CoreArguments(dir, output, strconv.Itoa(number))}
}

// mkimages are what distributions call the program that makes a core image, Debian first.
var mkimages = []string{"grub-mkimage", "grub2-mkimage"}

func mkimage() string {
	if i := slices.IndexFunc(mkimages, tools.Have); i >= 0 {
		return mkimages[i]
	}
	return mkimages[0]
}
