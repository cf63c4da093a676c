// Package layout plans the partitions of a disk that an image is installed on, as the
// Discoverable Partitions Specification describes them. It touches nothing: New returns a
// plan, and a plan prints as what sfdisk(8) or systemd-repart(8) carries out.
package layout

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/sysupdate-image/sysupdate-image/internal/format/discoverable"
	"github.com/sysupdate-image/sysupdate-image/internal/install/luks"
)

// A Role is what a partition is for.
type Role string

// The roles of partitions.
const (
	ESP  Role = "esp"
	BIOS Role = "bios" // what a BIOS starts
	Boot Role = "xbootldr"
	Var  Role = "var"
	Root Role = "root"
)

// Types of partitions that all architectures share.
const (
	TypeESP  = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"
	TypeBoot = "bc13c2ff-59e6-4262-a352-b275fd6f7172"
	TypeVar  = "4d21b016-b534-45c2-a9fb-5c16e091fd2d"
	TypeBIOS = "21686148-6449-6e6f-744e-656564454649"
)

// FileSystems are those that a root may have, the default first.
var FileSystems = []string{"ext4", "btrfs", "xfs"}

// A Partition is one that is to be made.
type Partition struct {
	Role       Role   `json:"role"`
	Label      string `json:"label"`
	Type       string `json:"type"`
	UUID       string `json:"uuid"`
	Start      int64  `json:"start"` // bytes
	Size       int64  `json:"size"`  // bytes
	Attributes uint64 `json:"attributes,omitempty"`
	FileSystem string `json:"fileSystem"` // "" for none
	FSUUID     string `json:"fsUUID"`
	// LUKS is the UUID of the encryption that the file system is in, "" for none.
	LUKS string `json:"luks,omitempty"`
	// Rest reports whether the partition takes what others leave.
	Rest bool `json:"rest,omitempty"`
}

// A Plan is what a disk will have on it.
type Plan struct {
	UUID       string      `json:"uuid"`
	Size       int64       `json:"size"`   // bytes of the disk
	Sector     int64       `json:"sector"` // bytes
	Partitions []Partition `json:"partitions"`
}

// Options say what is to be planned. Sizes are in bytes.
type Options struct {
	Size, Sector int64  // of the disk
	Arch         string // as Go spells it
	FileSystem   string // of the root, and of /var
	BIOS         bool   // with a partition for what a BIOS starts
	ESP          int64  // 0 for what fits the disk
	Boot         int64  // 0 for no extended boot loader partition
	Var          int64  // 0 for no partition of its own
	Root         int64  // 0 for the rest
	Need         int64  // what the root must hold at least
	Kernel       int64  // what the boot partition must hold at least
	Encrypt      bool   // the root
	Seed         Seed
}

const (
	mebibyte = 1 << 20
	gibibyte = 1 << 30
	// align is where partitions begin, and what their sizes are multiples of.
	align = mebibyte
	// biosSize is what GRUB's core takes, many times over.
	biosSize = mebibyte
	// leastBoot is what a FAT32 with sectors of 4096 bytes has to have, and some kernels.
	leastBoot = 300 * mebibyte
	// overhead is what file systems keep for themselves, and what state takes.
	overhead = 128 * mebibyte
	// leastVar is what a /var needs to begin with.
	leastVar = 256 * mebibyte
	// leastXFS is the smallest file system that mkfs.xfs makes.
	leastXFS = 300 * mebibyte
)

// A TooSmallError says that a disk has no room for the partitions.
type TooSmallError struct{ Have, Need int64 }

func (e *TooSmallError) Error() string {
	return fmt.Sprintf("too small: %d MiB, but at least %d MiB are needed", e.Have/mebibyte, (e.Need+mebibyte-1)/mebibyte)
}

// New plans the partitions.
func New(o Options) (Plan, error) {
	if discoverable.RootType(o.Arch) == "" {
		return Plan{}, fmt.Errorf("there is no partition type for a root on %s", o.Arch)
	}
	if !slices.Contains(FileSystems, o.FileSystem) {
		return Plan{}, fmt.Errorf("no file system for a root: %q", o.FileSystem)
	}
	esp := o.ESP
	if esp == 0 {
		esp = ESPSize(o.Size, o.Kernel)
	}
	if err := checkSizes(o, esp); err != nil {
		return Plan{}, err
	}
	p := Plan{UUID: o.Seed.uuid("disk"), Size: o.Size, Sector: o.Sector}
	at := int64(align)
	add := func(role Role, kind, fstype string, size int64) *Partition {
		size = size / align * align
		p.Partitions = append(p.Partitions, Partition{
			Role: role, Label: string(role), Type: kind, UUID: o.Seed.uuid("partition " + string(role)),
			Start: at, Size: size, FileSystem: fstype, FSUUID: o.Seed.uuid("file system " + string(role)),
		})
		at += size
		return &p.Partitions[len(p.Partitions)-1]
	}
	add(ESP, TypeESP, "vfat", esp)
	if o.BIOS {
		add(BIOS, TypeBIOS, "", biosSize)
	}
	if o.Boot > 0 {
		add(Boot, TypeBoot, "vfat", o.Boot)
	}
	if o.Var > 0 {
		add(Var, TypeVar, o.FileSystem, o.Var)
	}
	rest := o.Size - align - at
	size := o.Root
	if size == 0 {
		size = rest
	}
	if need := o.leastRoot(); size < need || size > rest {
		return Plan{}, &TooSmallError{Have: o.Size, Need: at + max(need, o.Root) + align}
	}
	root := add(Root, discoverable.RootType(o.Arch), o.FileSystem, size)
	root.Rest, root.Attributes = o.Root == 0, discoverable.GrowFileSystem
	if o.Encrypt {
		root.LUKS = o.Seed.uuid("encryption " + string(Root))
	}
	return p, nil
}

func checkSizes(o Options, esp int64) error {
	switch {
	case o.Sector < 512 || align%o.Sector != 0:
		return fmt.Errorf("no disk has sectors of %d bytes", o.Sector)
	case esp < leastBoot || o.Boot > 0 && o.Boot < leastBoot:
		return fmt.Errorf("a boot partition needs at least %d MiB", leastBoot/mebibyte)
	case cmp.Or(o.Boot, esp) < bootSize(o.Kernel):
		return fmt.Errorf("the boot partition needs at least %d MiB, for two kernels of %d MiB each",
			(bootSize(o.Kernel)+mebibyte-1)/mebibyte, (o.Kernel+mebibyte-1)/mebibyte)
	case o.Root < 0 || o.Boot < 0 || o.Var < 0:
		return errors.New("a size is negative")
	case o.Var > 0 && o.Var < o.leastVar():
		return fmt.Errorf("a partition for /var needs at least %d MiB", o.leastVar()/mebibyte)
	case o.Root > 0 && o.Root < o.leastRoot():
		return fmt.Errorf("the root needs at least %d MiB, more than the %d MiB that were asked for",
			(o.leastRoot()+mebibyte-1)/mebibyte, o.Root/mebibyte)
	}
	return nil
}

// ESPSize returns how large the EFI system partition of a disk is by default: 1 GiB, or an
// eighth of a small disk, and room for two kernels.
func ESPSize(disk, kernel int64) int64 {
	size := max(leastBoot, min(gibibyte, disk/8), bootSize(kernel))
	return (size + align - 1) / align * align
}

// bootSize returns what a boot partition needs: an update is there beside the kernel that
// it replaces.
func bootSize(kernel int64) int64 { return 2*kernel + 16*mebibyte }

// LeastRoot returns how large a root must be for what it has to hold. File systems keep
// some percent for themselves.
func LeastRoot(need int64) int64 { return need + need/8 + overhead }

// leastRoot returns LeastRoot, or more if the file system needs that, and what encryption takes.
func (o Options) leastRoot() int64 {
	least := LeastRoot(o.Need)
	if o.FileSystem == "xfs" {
		least = max(least, leastXFS)
	}
	if o.Encrypt {
		least += luks.HeaderSize
	}
	return least
}

// leastVar returns how large a partition for /var must be.
func (o Options) leastVar() int64 {
	if o.FileSystem == "xfs" {
		return leastXFS
	}
	return leastVar
}

// ImageSize returns how large a disk image is by default: with room for three versions of
// what the root has to hold, beside other partitions.
func ImageSize(need, others int64) int64 {
	root := 3*LeastRoot(need) + 256*mebibyte
	size := 2*align + gibibyte + others + root
	return (size + gibibyte - 1) / gibibyte * gibibyte
}

// Of returns the partition with a role and its number, counted from 1.
func (p Plan) Of(role Role) (part Partition, number int, ok bool) {
	i := slices.IndexFunc(p.Partitions, func(part Partition) bool { return part.Role == role })
	if i < 0 {
		return Partition{}, 0, false
	}
	return p.Partitions[i], i + 1, true
}
