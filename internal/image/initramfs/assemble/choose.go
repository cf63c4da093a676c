package assemble

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/modules"
)

// What is asked of a kernel, as names or aliases. What it does not have is left out, but
// for what check demands.
var (
	// always are for every machine: images, the overlay over them, a loop device for them
	// before Linux 6.12, the boot partition, and the variables of the firmware.
	always = []string{
		"erofs", "overlay", "loop", "dm_verity", "efivarfs",
		"vfat", "nls_cp437", "nls_iso8859_1", "nls_ascii",
		"crypto-sha256", "crypto-sha512",
	}
	// devices are what disks hang on.
	devices = []string{
		"virtio_pci", "virtio_mmio", "virtio_blk", "virtio_scsi",
		"nvme", "vmd", "ahci", "ata_piix", "sd_mod",
		"usb_storage", "uas", "xhci_pci", "ehci_pci",
		"mmc_block", "sdhci_pci", "sdhci_acpi",
		"vmw_pvscsi", "mptspi", "hv_storvsc", "pci_hyperv", "xen_blkfront",
	}
	// fileSystems are those that a root may have.
	fileSystems = []string{"ext4", "btrfs", "xfs"}
)

// algorithms are what file systems ask the kernel's crypto layer for. Not all of them say
// so in their soft dependencies, and not in every version.
var algorithms = map[string][]string{
	"ext4":      {"crypto-crc32c"},
	"btrfs":     {"crypto-crc32c", "crypto-xxhash64", "crypto-sha256", "crypto-blake2b-256"},
	"xfs":       {"crypto-crc32c"},
	"dm_verity": {"crypto-sha256", "crypto-sha512"},
}

// choose returns the modules for names and aliases with all that they need, by path. types
// are file systems of which the root has one.
func choose(index *modules.Index, version string, wanted, types []string) ([]modules.Module, error) {
	c := chooser{index, make(map[string]modules.Module)}
	for _, alias := range slices.Concat(wanted, types) {
		if err := c.add(alias); err != nil {
			return nil, err
		}
	}
	if err := c.check(version, types); err != nil {
		return nil, err
	}
	byPath := func(a, b modules.Module) int { return cmp.Compare(a.Path, b.Path) }
	return slices.SortedFunc(maps.Values(c.chosen), byPath), nil
}

type chooser struct {
	index  *modules.Index
	chosen map[string]modules.Module // by name
}

// add adds all modules for an alias: of the providers of an algorithm, a fast one may not
// load on a processor that the initramfs boots on later.
func (c *chooser) add(alias string) error {
	for _, name := range c.index.Lookup(alias) {
		order, err := c.index.Order(name)
		if err != nil {
			return err
		}
		for _, m := range order {
			if err := c.addOne(m); err != nil {
				return err
			}
		}
	}
	return nil
}

// addOne adds a module with what it may ask the kernel for later.
func (c *chooser) addOne(m modules.Module) error {
	if _, ok := c.chosen[m.Name]; ok {
		return nil
	}
	c.chosen[m.Name] = m
	for _, alias := range slices.Concat(c.index.Weak(m.Name), algorithms[m.Name]) {
		if err := c.add(alias); err != nil {
			return err
		}
	}
	return nil
}

// check returns an error if something is missing that every boot needs.
func (c *chooser) check(version string, types []string) error {
	var missing []string
	for _, name := range c.index.Missing() {
		if name == "modules.dep" || name == "modules.alias" {
			missing = append(missing, name)
		}
	}
	for _, name := range []string{"erofs", "overlay"} {
		if !c.has(name) {
			return &MissingError{version, name + " file system", missing}
		}
	}
	if len(c.chosen) > 0 && slices.Contains(missing, "modules.alias") {
		return fmt.Errorf("kernel %s has no modules.alias, which tells the modules for devices: depmod(8) makes it", version)
	}
	if !slices.ContainsFunc(types, c.has) {
		return &MissingError{version, "file system for a root (" + strings.Join(types, ", ") + ")", missing}
	}
	return nil
}

// has reports whether the initramfs will have a module, or the kernel has it built in.
func (c *chooser) has(name string) bool {
	_, ok := c.chosen[name]
	return ok || c.index.Builtin(name)
}
