package install

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/image/cryptroot"
	"github.com/sysupdate-image/sysupdate-image/internal/image/installconfig"
	"github.com/sysupdate-image/sysupdate-image/internal/image/oci"
	"github.com/sysupdate-image/sysupdate-image/internal/install/device"
	"github.com/sysupdate-image/sysupdate-image/internal/install/layout"
	"github.com/sysupdate-image/sysupdate-image/internal/install/tools"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
)

// DiskOptions say how to install on a whole disk. Root and ESP of Options do not count.
type DiskOptions struct {
	Options
	Disk       string // a block device, or with Loopback a file
	Name       string // of the disk in messages; "" for Disk
	Loopback   bool
	Unmounted  bool        // fill file systems without mounting them
	Wipe       bool        // what is on the disk may be lost
	FileSystem string      // of the root, and of /var; "" for what the image wants
	Encryption Encryption  // for TPM2LUKS
	ESPSize    int64       // bytes; 0 for the default
	BootSize   int64       // bytes; 0 for no extended boot loader partition
	VarSize    int64       // bytes; 0 for a /var on the root
	RootSize   int64       // bytes; 0 for the rest of the disk
	Seed       layout.Seed // for UUIDs
}

// A DiskPlan says what installing on a disk would do.
type DiskPlan struct {
	Disk     string      `json:"disk"`
	Layout   layout.Plan `json:"layout"`
	Lost     []string    `json:"lost"`     // what is on the disk now
	Programs []string    `json:"programs"` // commands that would run
	Blocks   string      `json:"blockSetup"`
	Kargs    []string    `json:"kernelArguments,omitempty"`
	Rooted   []string    `json:"rootArguments,omitempty"` // by which the root is found
	Verity   Verity      `json:"verity"`
	Loader   string      `json:"bootloader"`
	About    Image       `json:"image"`

	options DiskOptions
	tool    string // that makes the partitions
	keyFile *keyFile
}

// An Image is what is known of an image before it is installed.
type Image struct {
	Reference string `json:"reference"`
	Digest    string `json:"manifestDigest"`
	Signature string `json:"signature"`
	Bytes     int64  `json:"bytes"` // of its files

	root       *tree.Node // nil if its layers were not read
	config     installconfig.Config
	loader     string // kind of boot loader that is to be installed
	bios       bool   // it has what GRUB for a BIOS is made of, as far as is known
	onlyBIOS   bool   // its GRUB does not start from UEFI
	efi        bool   // it has a directory /efi
	unbootable error  // why it cannot boot
	kernel     int64  // bytes of what goes to the boot partition; 0 if that is not known
	opens      error  // why its initramfs does not open an encrypted root, if there is to be one
}

// A NotEmptyError says what would be lost on a disk.
type NotEmptyError struct {
	Disk    string
	Content device.Content
}

func (e *NotEmptyError) Error() string {
	what := strings.Join(e.Content.Things, "; ")
	if e.Content.Unfinished {
		return fmt.Sprintf("%s has an installation that was interrupted (%s)", e.Disk, what)
	}
	return fmt.Sprintf("%s is not empty: it has %s", e.Disk, what)
}

// ErrNoEFI says that an image has no mount point for an EFI system partition beside an
// extended boot loader partition.
var ErrNoEFI = errors.New("the image has no directory /efi, where systemd mounts the EFI system partition: efi.automount will fail")

// ErrNotBlock says that a file was named in place of a disk.
var ErrNotBlock = errors.New("is a file, not a block device")

// planDisk plans an installation on a disk. It changes nothing, and returns the disk open.
func planDisk(ctx context.Context, o DiskOptions, img Image) (DiskPlan, *device.Disk, error) {
	if err := o.complete(); err != nil {
		return DiskPlan{}, nil, err
	}
	if err := o.settle(img.config); err != nil {
		return DiskPlan{}, nil, err
	}
	if err := o.checkEncryption(img); err != nil {
		return DiskPlan{}, nil, fmt.Errorf("cannot install with block set-up %s: %w", o.BlockSetup, err)
	}
	o.Loader = img.loader
	target := o.Name != "" // which is locked already
	o.Name = cmp.Or(o.Name, o.Disk)
	if info, err := os.Stat(o.Disk); err == nil && info.Mode().IsRegular() && !o.Loopback {
		return DiskPlan{}, nil, fmt.Errorf("%s %w", o.Name, ErrNotBlock)
	}
	d, err := device.Own(o.Host.Root, o.Disk, o.Name)
	if err != nil {
		return DiskPlan{}, nil, err
	}
	if !target {
		err = d.Claim()
	}
	p := DiskPlan{}
	if err == nil {
		p, err = planOn(ctx, d, o, img)
	}
	if err != nil {
		return DiskPlan{}, nil, errors.Join(err, d.Close())
	}
	return p, d, nil
}

func planOn(ctx context.Context, d *device.Disk, o DiskOptions, img Image) (DiskPlan, error) {
	p := DiskPlan{Disk: o.Name, About: img, Kargs: o.leftKargs(o.Kargs), Verity: o.verity(), options: o, tool: partitioner(), Lost: []string{}, Loader: o.Loader, Blocks: o.BlockSetup}
	p.options.bios = o.Loader == deployment.GRUB && img.bios
	if err := p.checkSector(d.Sector); err != nil {
		return p, err
	}
	if err := p.checkTools(ctx); err != nil {
		return p, err
	}
	content, err := d.Content(ctx)
	if err != nil {
		return p, err
	}
	if p.Lost = append(p.Lost, content.Things...); len(p.Lost) > 0 && !o.Wipe {
		return p, &NotEmptyError{o.Name, content}
	}
	p.Layout, err = layout.New(layout.Options{
		Size: d.Size, Sector: d.Sector, Arch: cmp.Or(o.Source.Architecture, runtime.GOARCH), FileSystem: o.FileSystem,
		BIOS: p.options.bios, ESP: o.ESPSize, Boot: o.BootSize, Var: o.VarSize, Root: o.RootSize, Need: img.Bytes, Kernel: img.kernel, Seed: o.Seed,
		Encrypt: o.BlockSetup == TPM2LUKS,
	})
	if small := (*layout.TooSmallError)(nil); errors.As(err, &small) {
		return p, fmt.Errorf("%s is %w", o.Name, err)
	}
	if err != nil {
		return p, err
	}
	p.Rooted = p.rootArgs(img.config)
	p.Programs, err = p.commands()
	return p, err
}

// ErrNotRoot says that only root can install on a disk.
var ErrNotRoot = errors.New("cannot install on a disk: must be run as root")

// checkRights reports whether this program may do what an installation on a disk needs.
func checkRights(loopback bool) error {
	if os.Geteuid() != 0 {
		return ErrNotRoot
	}
	if loopback {
		return checkLoop()
	}
	return nil
}

// canMount reports whether the partitions of a disk image can be mounted here. In a container,
// or in a user namespace, they cannot.
func canMount() bool { return os.Geteuid() == 0 && checkLoop() == nil }

func checkLoop() error {
	if err := sys.CheckLoop(); err != nil {
		return fmt.Errorf("cannot install on a disk: no loop devices here: %w", err)
	}
	return nil
}

// settle fills in what the image wants and no option says.
func (o *DiskOptions) settle(c installconfig.Config) error {
	o.FileSystem = cmp.Or(o.FileSystem, c.RootType(), layout.FileSystems[0])
	if !slices.Contains(layout.FileSystems, o.FileSystem) {
		return fmt.Errorf("file system %q is not supported for the root: want %s", o.FileSystem, strings.Join(layout.FileSystems, ", "))
	}
	if err := o.settleBlocks(c); err != nil {
		return err
	}
	if o.Unmounted && !slices.Contains(fillable, o.FileSystem) {
		return fmt.Errorf("a root of type %s can only be made by root, with loop devices; without, it has to be %s", o.FileSystem, strings.Join(fillable, " or "))
	}
	o.Kargs = append(c.Arguments(), o.Kargs...)
	return nil
}

// warnings returns what an administrator should know of an image before it is installed.
func (img Image) warnings(o DiskOptions) []error {
	var errs []error
	if o.BootSize > 0 && !img.efi {
		errs = append(errs, ErrNoEFI)
	}
	if s := img.config.Stateroot; s != nil && *s != "default" {
		errs = append(errs, fmt.Errorf("stateroot %q in the image's configuration is ignored: all deployments share one", *s))
	}
	if unknown := (*cryptroot.UnknownError)(nil); errors.As(img.opens, &unknown) {
		errs = append(errs, img.opens)
	}
	if b := img.config.BootMount; b != nil && *b != "" {
		errs = append(errs, fmt.Errorf("boot-mount-spec %q in the image's configuration is ignored: the boot partition is found by its type", *b))
	}
	return errs
}

// check refuses an image that cannot boot, and one that nobody has signed if it wants that.
func (img Image) check() error {
	if img.unbootable != nil {
		return img.unbootable
	}
	if p := img.config.Policy; p != nil && *p && img.Signature != oci.Signed {
		return fmt.Errorf("the image demands enforce-container-sigpolicy, but its signature is: %s", img.Signature)
	}
	return nil
}

// rootArgs returns the kernel arguments by which the initramfs opens and finds the root. By default
// it finds it by the type of the partition; on btrfs the subvolume has to be named.
func (p DiskPlan) rootArgs(c installconfig.Config) []string {
	root, _, _ := p.Layout.Of(layout.Root)
	byUUID := "root=UUID=" + root.FSUUID
	args := openArgs(root)
	switch {
	case c.RootMount != nil && *c.RootMount != "":
		return append(args, "root="+*c.RootMount)
	case root.FileSystem == "btrfs":
		return append(args, byUUID, "rootflags=subvol=/")
	case root.LUKS != "":
		return append(args, byUUID)
	case c.Discoverable != nil && !*c.Discoverable, p.Loader != deployment.SystemdBoot:
		// Only systemd-boot says from which disk it came, where systemd then looks for a root.
		return []string{byUUID}
	}
	return nil
}

// partitioner returns the program that makes partitions.
func partitioner() string {
	if tools.Have("systemd-repart") {
		return "systemd-repart"
	}
	return "sfdisk"
}
