package verify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"

	"github.com/sysupdate-image/sysupdate-image/internal/format/discoverable"
	"github.com/sysupdate-image/sysupdate-image/internal/format/partition"
	"github.com/sysupdate-image/sysupdate-image/internal/format/superblock"
	"github.com/sysupdate-image/sysupdate-image/internal/install/device"
	"github.com/sysupdate-image/sysupdate-image/internal/install/fat"
	"github.com/sysupdate-image/sysupdate-image/internal/install/layout"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
	"github.com/sysupdate-image/sysupdate-image/internal/machine"
)

// A parts is the partitions of a disk that a machine boots from, by their numbers; 0 for
// none.
type parts struct {
	table           partition.Table
	esp, boot, root int
	roots           []int // all with the type of a root
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
	r.add("partition table", "GPT, both copies", d.TableDamage())
	p := r.partitions(table)
	if p.esp == 0 || p.root == 0 {
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
		case entry.Type == rootType:
			p.roots = append(p.roots, n)
		}
	}
	if len(p.roots) > 0 {
		p.root = p.roots[0]
	}
	if unfinished {
		r.add("installation", "", errors.New("it was interrupted: the root partition has the label "+layout.Unfinished))
	}
	r.partition("EFI system partition", p.esp)
	if p.boot > 0 {
		r.partition("extended boot loader partition", p.boot)
	}
	r.partition("root partition", p.root)
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
	root, found, err := openRoot(ctx, d, p)
	if err != nil {
		r.add("root partition", "", err)
		return nil
	}
	defer root.Close()
	entries, err := openFAT(ctx, d, p, cmp.Or(p.boot, p.esp))
	if err != nil {
		r.add("boot partition", "", err)
		return nil
	}
	defer entries.Close()
	esp := entries
	if p.boot > 0 {
		if esp, err = openFAT(ctx, d, p, p.esp); err != nil {
			r.add("EFI system partition", "", err)
			return nil
		}
		defer esp.CloseAll()
	}
	r.loader(esp.Partition)
	dir := fmt.Sprintf("/proc/self/fd/%d", root.Fd())
	system, err := machine.OpenMounted(machine.Place{Host: host, Dir: dir}, entries.Partition, machine.ToRead)
	if err != nil {
		return err
	}
	r.machine(ctx, dir, system, found)
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

// openRoot mounts the root, read-only.
func openRoot(ctx context.Context, d *device.Disk, p parts) (mount, *rootPartition, error) {
	entry, _ := p.table.Partition(p.root)
	part, err := d.Part(ctx, p.root, entry, false)
	if err != nil {
		return mount{}, nil, err
	}
	content, err := contentOf(part.Path)
	if err == nil && unreplayed[content.Type] == (sys.MountOption{}) {
		err = fmt.Errorf("it has no file system for a root, but %q", content.Type)
	}
	if err != nil {
		return mount{}, nil, errors.Join(err, part.Close())
	}
	file, err := sys.Detached(content.Type, sys.ReadOnly|sys.NoAtime,
		sys.MountString("source", part.Path), sys.MountFlag("ro"), unreplayed[content.Type])
	if err != nil {
		return mount{}, nil, errors.Join(fmt.Errorf("cannot mount it: %w", err), part.Close())
	}
	found := &rootPartition{fsUUID: content.UUID, partUUID: entry.UUID, ofType: len(p.roots), typed: slices.Contains(p.roots, p.root)}
	return mount{file, part}, found, nil
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
