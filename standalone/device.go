package standalone

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/format/partition"
	"github.com/sysupdate-image/sysupdate-image/internal/format/superblock"
	"github.com/sysupdate-image/sysupdate-image/internal/format/uevent"
)

// A device is a block device with what it holds.
type device struct {
	name      string // below /dev
	disk      string // that it is a partition of; its own name if it is none
	partition partition.Partition
	content   superblock.Content
	err       error // why it could not be read
}

// path returns the device's path, for people and for mounting.
func (d device) path() string { return "/dev/" + d.name }

// describe returns the device and what it holds, for people.
func (d device) describe() string {
	switch {
	case d.err != nil:
		return d.path() + " (" + d.err.Error() + ")"
	case d.content.Type == "":
		return d.path()
	}
	return d.path() + " (" + d.content.Type + ")"
}

// devices are the block devices there are. What a device holds is read once, until the
// kernel announces a change.
type devices struct {
	sys, dev string // where sysfs and devtmpfs are mounted
	known    map[string]device
}

// unread are devices that are slow to read and hold no root.
var unread = []string{"ram", "zram", "fd", "sr"}

// forget has a device, and those of the same disk, read again.
func (d *devices) forget(name string) {
	disk := d.known[name].disk
	for other, each := range d.known {
		if other == name || disk != "" && each.disk == disk {
			delete(d.known, other)
		}
	}
}

// refresh reads those that are new, forgets those that are gone, and returns all.
func (d *devices) refresh() ([]device, error) {
	entries, err := os.ReadDir(filepath.Join(d.sys, "class/block"))
	if found, err := bounded.Found(err); !found {
		return nil, err // a kernel without any block device
	}
	var all []device
	now := make(map[string]device, len(entries))
	tables := make(map[string]partition.Table)
	for _, e := range entries {
		each, ok := d.known[e.Name()]
		if !ok {
			if each, ok = d.read(e.Name(), tables); !ok {
				continue
			}
		}
		now[e.Name()] = each
		all = append(all, each)
	}
	d.known = now
	return all, nil
}

// read reads a device by its name in sysfs. One without a medium is none.
func (d *devices) read(name string, tables map[string]partition.Table) (device, bool) {
	for _, prefix := range unread {
		if rest, ok := strings.CutPrefix(name, prefix); ok && strings.Trim(rest, "0123456789") == "" {
			return device{}, false
		}
	}
	dir, err := filepath.EvalSymlinks(filepath.Join(d.sys, "class/block", name))
	if err != nil || d.number(dir, "size") == 0 {
		return device{}, false
	}
	text, err := bounded.ReadPath(filepath.Join(dir, "uevent"), limits.Kernel)
	if err != nil {
		return device{}, false // it went away
	}
	// Names of nodes may have slashes, which sysfs writes as "!".
	found := device{name: uevent.ParseFile(string(text))["DEVNAME"]}
	if found.name == "" {
		return device{}, false
	}
	found.disk = found.name
	if n := d.number(dir, "partition"); n > 0 {
		parent := path.Dir(dir)
		found.disk = strings.ReplaceAll(path.Base(parent), "!", "/")
		found.partition, found.err = d.partition(parent, found.disk, int(n), tables)
	}
	if found.err == nil {
		found.content, found.err = readContent(filepath.Join(d.dev, found.name))
	}
	return found, true
}

// number reads a number in sysfs, 0 if there is none.
func (d *devices) number(dir, name string) int64 {
	text, err := bounded.ReadPath(filepath.Join(dir, name), limits.Kernel)
	if err != nil {
		return 0
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// partition looks up a partition in the table of its disk, which is read once for all.
func (d *devices) partition(dir, disk string, number int, tables map[string]partition.Table) (partition.Partition, error) {
	table, ok := tables[disk]
	if !ok {
		f, size, err := openDevice(filepath.Join(d.dev, disk))
		if err != nil {
			return partition.Partition{}, err
		}
		defer f.Close()
		sector := max(d.number(dir, "queue/logical_block_size"), 512)
		if table, err = partition.Read(f, sector, size); err != nil {
			return partition.Partition{}, fmt.Errorf("cannot read the partition table of /dev/%s: %w", disk, err)
		}
		tables[disk] = table
	}
	p, _ := table.Partition(number)
	return p, nil
}

func readContent(name string) (superblock.Content, error) {
	f, size, err := openDevice(name)
	if err != nil {
		return superblock.Content{}, err
	}
	defer f.Close()
	return superblock.Read(f, size)
}

// openDevice opens a block device and returns its size in bytes.
func openDevice(name string) (*os.File, int64, error) {
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, fmt.Errorf("no device node: %w", err)
	}
	if err != nil {
		return nil, 0, err
	}
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, size, nil
}
