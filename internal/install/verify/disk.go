package verify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/discoverable"
	"github.com/sysupdate-image/sysupdate-image/internal/format/partition"
	"github.com/sysupdate-image/sysupdate-image/internal/format/superblock"
	"github.com/sysupdate-image/sysupdate-image/internal/install/device"
	"github.com/sysupdate-image/sysupdate-image/internal/install/fat"
	"github.com/sysupdate-image/sysupdate-image/internal/install/layout"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
	"github.com/sysupdate-image/sysupdate-image/internal/machine"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
)

// A parts is the partitions of a disk that a machine boots from, by their numbers; 0 for
// none.
type parts struct {
	table           partition.Table
	esp, boot, root int
	roots           []int // with the type of a root, that are found by it
	hidden          []int // likewise, that are not to be found by it

	contents map[int]superblock.Content // of all, once they are read
	bios     int                        // for what a BIOS starts
	record   deployment.Loader
}

// disk looks at a whole disk.
func (r *Report) disk(ctx context.Context, host machine.Host, d *device.Disk) error {
	table, err := d.Table()
	if err != nil {
		return err
	}
	if !table.IsGPT() {
		r.add("partition table", "", errors.New("there is no GPT"))
		return nil
	}
	if err := d.TableDamage(); errors.Is(err, partition.ErrNoBackup) {
		r.warn("partition table", err)
	} else {
		r.add("partition table", "GPT, both copies", err)
	}
	p := r.partitions(table)
	if p.esp == 0 {
		return nil
	}
	return r.mounted(ctx, host, d, p)
}

// partitions finds the partitions by their types.
func (r *Report) partitions(table partition.Table) parts {
	p := parts{table: table}
	rootType := discoverable.RootType(runtime.GOARCH)
	unfinished := false
	for _, n := range table.Numbers() {
		entry, _ := table.Partition(n)
		unfinished = unfinished || entry.Label == layout.Unfinished
		switch {
		case entry.Type == layout.TypeESP && p.esp == 0:
			p.esp = n
		case entry.Type == layout.TypeBoot && p.boot == 0:
			p.boot = n
		case entry.Type == layout.TypeBIOS && p.bios == 0:
			p.bios = n
		case entry.Type == rootType && entry.Attributes&discoverable.NoAuto != 0:
			p.hidden = append(p.hidden, n)
		case entry.Type == rootType:
			p.roots = append(p.roots, n)
		}
	}
	if unfinished {
		r.add("installation", "", errors.New("it was interrupted: the root partition has the label "+layout.Unfinished))
	}
	r.partition("EFI system partition", p.esp)
	if p.boot > 0 {
		r.partition("extended boot loader partition", p.boot)
	}
	return p
}

func (r *Report) partition(what string, number int) {
	if number == 0 {
		r.add(what, "", errors.New("no partition has its type"))
		return
	}
	r.add(what, fmt.Sprintf("partition %d", number), nil)
}

// mounted mounts the partitions, and looks at what is on them.
func (r *Report) mounted(ctx context.Context, host machine.Host, d *device.Disk, p parts) error {
	entries, err := openFAT(ctx, d, p, cmp.Or(p.boot, p.esp))
	if err != nil {
		r.add("boot partition", "", err)
		return nil
	}
	root, err := r.root(ctx, d, &p, entries.Partition)
	if err != nil {
		r.add("root partition", "", err)
	}
	if root.File == nil {
		return entries.CloseAll()
	}
	defer root.Close()
	esp := entries
	if p.boot > 0 {
		if esp, err = openFAT(ctx, d, p, p.esp); err != nil {
			r.add("EFI system partition", "", err)
			return entries.CloseAll()
		}
		defer esp.CloseAll()
	}
	p.record = loaderOf(root)
	r.loader(esp.Partition, entries.Partition, p.record)
	if err := r.bios(d, p); err != nil {
		return err
	}
	dir := fmt.Sprintf("/proc/self/fd/%d", root.Fd())
	system, err := machine.OpenMounted(machine.Place{Host: host, Dir: dir}, entries.Partition, machine.ToRead)
	if err != nil {
		return err
	}
	if v := r.varRecord(system); v != nil {
		r.add(partitionOfVar, v.String(), checkVar(ctx, d, &p, *v))
	}
	r.machine(ctx, dir, system, &p)
	return system.Close()
}

// unreplayed are the options with which a file system is mounted as it is on the disk.
var unreplayed = map[string]sys.MountOption{
	"ext4": sys.MountFlag("noload"), "xfs": sys.MountFlag("norecovery"), "btrfs": sys.MountString("rescue", "nologreplay"),
}

// A mount is a mounted partition. The mount goes before its device.
type mount struct {
	*os.File
	part device.Part
}

func (m mount) Close() error { return errors.Join(m.File.Close(), m.part.Close()) }

// root mounts the root, which the first boot entry names, or else its type. It mounts none that is
// encrypted.
func (r *Report) root(ctx context.Context, d *device.Disk, p *parts, entries *boot.Partition) (mount, error) {
	options, err := firstOptions(entries)
	if err == nil {
		err = p.read(ctx, d)
	}
	if err != nil {
		return mount{}, err
	}
	// What is wrong with the way in which it is found is told with the entry.
	if p.root, _, _ = p.find(options); p.root == 0 {
		p.root = cmp.Or(first(p.roots), first(p.hidden))
	}
	if p.root == 0 {
		return mount{}, errors.New("no partition has its type, or is named by a boot entry")
	}
	r.partition("root partition", p.root)
	if p.isEncrypted() {
		r.encrypted(ctx, d, p, options)
		return mount{}, nil
	}
	return openPart(ctx, d, p, p.root)
}

func first(numbers []int) int {
	if len(numbers) == 0 {
		return 0
	}
	return numbers[0]
}

// firstOptions returns the kernel arguments of the first entry for a deployment.
func firstOptions(entries *boot.Partition) (string, error) {
	files, err := entries.Entries()
	if err != nil {
		return "", err
	}
	for _, f := range files {
		if _, err := f.Entry.Deployment(); err == nil && f.Bootable() {
			return entries.Cmdline(f.Entry)
		}
	}
	return "", nil
}

// openPart mounts the root or /var, read-only.
func openPart(ctx context.Context, d *device.Disk, p *parts, number int) (mount, error) {
	content := p.contents[number]
	if unreplayed[content.Type] == (sys.MountOption{}) {
		return mount{}, fmt.Errorf("it has no file system for a root, but %q", content.Type)
	}
	entry, _ := p.table.Partition(number)
	part, err := d.Part(ctx, number, entry, false)
	if err != nil {
		return mount{}, err
	}
	file, err := sys.Detached(content.Type, sys.ReadOnly|sys.NoAtime,
		sys.MountString("source", part.Path), sys.MountFlag("ro"), unreplayed[content.Type])
	if err != nil {
		return mount{}, errors.Join(fmt.Errorf("cannot mount it: %w", err), part.Close())
	}
	return mount{file, part}, nil
}

// read reads what the partitions hold. One that cannot be read holds nothing that boots.
func (p *parts) read(ctx context.Context, d *device.Disk) error {
	p.contents = make(map[int]superblock.Content)
	for _, n := range p.table.Numbers() {
		entry, _ := p.table.Partition(n)
		part, err := d.Part(ctx, n, entry, false)
		if err == nil {
			p.contents[n], err = contentOf(part.Path)
			err = errors.Join(err, part.Close())
		}
		if errors.Is(err, fs.ErrPermission) || ctx.Err() != nil {
			return err
		}
	}
	return nil
}

func contentOf(path string) (superblock.Content, error) {
	f, err := os.Open(path)
	if err != nil {
		return superblock.Content{}, err
	}
	defer f.Close()
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return superblock.Content{}, err
	}
	return superblock.Read(f, size)
}

// openFAT opens a boot partition to read it.
func openFAT(ctx context.Context, d *device.Disk, p parts, number int) (*fat.Partition, error) {
	entry, _ := p.table.Partition(number)
	part, err := d.Part(ctx, number, entry, false)
	if err != nil {
		return nil, err
	}
	opened, err := fat.Read(ctx, part.Path, entry.Size, part.Files()...)
	if err != nil {
		return nil, errors.Join(err, part.Close())
	}
	opened.Until(part.Close)
	return opened, nil
}
