package verify

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/grubimage"
	"github.com/sysupdate-image/sysupdate-image/internal/install/device"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/loader"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/records"
)

// loaderOf returns the record of the boot loader on a root; none counts as systemd-boot.
func loaderOf(root mount) deployment.Loader {
	record, err := records.LoadLoader(os.DirFS(fmt.Sprintf("/proc/self/fd/%d", root.Fd())))
	if err != nil {
		return deployment.Loader{}
	}
	return record
}

// loader looks at the boot loader on an EFI system partition, and at what it reads beside the
// entries.
func (r *Report) loader(esp, entries *boot.Partition, record deployment.Loader) {
	const what = "boot loader"
	switch {
	case esp == nil:
		r.add(what, "", errors.New("there is no boot partition"))
	case record.Kind == deployment.NoLoader:
		r.warn(what, errors.New("there is none: the firmware or the hypervisor must be given the kernel, the initramfs and the kernel command line of the boot entry"))
	case record.Kind == deployment.GRUB || entries.HasGRUB():
		r.grub(esp, entries, record)
	default:
		name, err := esp.FallbackLoader()
		if name == "" {
			name = "of unknown version"
		}
		r.add(what, name, err)
	}
}

// grub looks at the files of GRUB.
func (r *Report) grub(esp, entries *boot.Partition, record deployment.Loader) {
	if record.Kind == "" {
		_, err := esp.FallbackLoader() // it is a whole program, at least
		r.add("boot loader", deployment.GRUB+" of unknown version", err)
	}
	if len(record.Files) > 0 {
		changed, err := loader.Check(esp, record)
		r.add("boot loader", record.Kind+" "+record.Version, err)
		if len(changed) > 0 {
			r.warn("boot loader", fmt.Errorf("not as it was installed: %s", strings.Join(changed, ", ")))
		}
	}
	err := loader.CheckConfig(entries, record)
	files, errEntries := entries.Entries()
	err = errors.Join(err, errEntries)
	for _, f := range files {
		err = errors.Join(err, entries.CheckMenuEntry(f))
	}
	r.add("GRUB's configuration", "it has all boot entries", err)
	if err := entries.CheckGRUBEnv(); err != nil {
		r.warn("GRUB's configuration", err)
	}
}

// bios looks at what a BIOS starts.
func (r *Report) bios(d *device.Disk, p parts) error {
	if p.record.BIOS == "" {
		return nil
	}
	const what = "boot loader for a BIOS"
	if p.bios == 0 {
		r.add(what, "", errors.New("no partition has its type"))
		return nil
	}
	entry, _ := p.table.Partition(p.bios)
	disk, err := os.Open(d.Path)
	if err != nil {
		return err
	}
	defer disk.Close()
	first, core := make([]byte, grubimage.BootCode), make([]byte, min(entry.Size, grubimage.MaxCore))
	_, err = io.ReadFull(io.NewSectionReader(disk, 0, int64(len(first))), first)
	if err == nil {
		_, err = io.ReadFull(io.NewSectionReader(disk, entry.Start, int64(len(core))), core)
	}
	if err == nil {
		err = grubimage.CheckBoot(first, core, entry.Start/d.Sector)
	}
	r.add(what, deployment.GRUB+" "+p.record.BIOS, err)
	return nil
}
