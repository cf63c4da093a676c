// Package device is a disk that an image is installed on or read from: a block device, or a
// file with the image of one. It says whether the disk is in use and what is on it, and
// hides how its partitions are reached.
package device

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/format/partition"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
)

// fileSector is the size of the sectors of a disk image in a file.
const fileSector = 512

// A Disk is an open disk. Close it.
type Disk struct {
	Path   string // absolute
	shown  string // for messages
	Size   int64  // bytes
	Sector int64  // bytes
	file   *os.File
	host   *os.Root // root directory of the running system
	name   string   // in sysfs; "" for a file
}

// Open opens a disk to read it: a block device or a file. Host is the root directory of the
// running system, which must stay open as long as the disk.
func Open(host *os.Root, name string) (*Disk, error) {
	d, err := disk(host, name, name)
	if err != nil {
		return nil, err
	}
	return d, d.open(os.O_RDONLY)
}

// Own opens a disk to overwrite it. It refuses a block device that is in use, read-only, or
// a partition. Messages call it shown.
func Own(host *os.Root, name, shown string) (*Disk, error) {
	d, err := disk(host, name, shown)
	if err != nil {
		return nil, err
	}
	if err := d.open(os.O_RDWR); err != nil {
		return nil, err
	}
	if err := d.check(); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// disk returns a disk that is not open. Its path is one that no program takes for an option.
func disk(host *os.Root, name, shown string) (*Disk, error) {
	abs, err := filepath.Abs(name)
	return &Disk{Path: abs, shown: shown, host: host, Sector: fileSector}, err
}

// String returns the name of the disk in messages.
func (d *Disk) String() string { return cmp.Or(d.shown, d.Path) }

func (d *Disk) open(mode int) (err error) {
	info, err := os.Stat(d.Path)
	if err != nil {
		return fmt.Errorf("%s: %w", d, errors.Unwrap(err))
	}
	isBlock := info.Mode()&fs.ModeDevice != 0 && info.Mode()&fs.ModeCharDevice == 0
	if !isBlock && !info.Mode().IsRegular() {
		return fmt.Errorf("%s is neither a block device nor a file", d)
	}
	if isBlock {
		if d.name, err = d.sysName(); err != nil {
			return err
		}
		if mode != os.O_RDONLY && d.text("ro") == "1" {
			return fmt.Errorf("%s is read-only", d)
		}
	}
	if d.file, err = os.OpenFile(d.Path, mode, 0); err != nil {
		return err
	}
	if isBlock {
		d.Size, d.Sector, err = sys.DiskSize(d.file)
	} else {
		d.Size = info.Size()
	}
	if err != nil {
		return errors.Join(err, d.Close())
	}
	return nil
}

// IsBlock reports whether the disk is a block device.
func (d *Disk) IsBlock() bool { return d.name != "" }

// Files returns what keeps the path that of this disk as long as it is open.
func (d *Disk) Files() []*os.File { return []*os.File{d.file} }

// Close lets go of the disk.
func (d *Disk) Close() error { return d.file.Close() }

// sysName returns the name of the block device in sysfs.
func (d *Disk) sysName() (string, error) {
	major, minor, err := sys.BlockDevice(d.Path)
	if err != nil {
		return "", err
	}
	link, err := d.host.Readlink(fmt.Sprintf("sys/dev/block/%d:%d", major, minor))
	if err != nil {
		return "", fmt.Errorf("%s: %w", d, err)
	}
	return path.Base(link), nil
}

// text returns what a file in sysfs says of the disk, "" if there is none.
func (d *Disk) text(names ...string) string {
	return d.textOf(append([]string{d.name}, names...)...)
}

// textOf returns the text of a file below sys/class/block, "" if there is none.
func (d *Disk) textOf(names ...string) string {
	data, err := bounded.ReadRoot(d.host, path.Join(append([]string{"sys/class/block"}, names...)...), limits.Kernel)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
}

// namesIn returns the names in a directory of sysfs, none if there is no such directory.
func (d *Disk) namesIn(names ...string) []string {
	list, err := fs.ReadDir(d.host.FS(), path.Join(append([]string{"sys/class/block"}, names...)...))
	if err != nil {
		return nil
	}
	var out []string
	for _, e := range list {
		out = append(out, e.Name())
	}
	return out
}

// parts returns the partitions of the disk that the kernel knows, by their names in sysfs.
func (d *Disk) parts() []string {
	var out []string
	for _, name := range d.namesIn(d.name) {
		if d.text(name, "partition") != "" {
			out = append(out, name)
		}
	}
	return out
}

// Table reads the partition table.
func (d *Disk) Table() (partition.Table, error) {
	t, err := partition.Read(d.file, d.Sector, d.Size)
	if err != nil {
		return t, fmt.Errorf("cannot read the partition table of %s: %w", d, err)
	}
	return t, nil
}

// TableDamage says what is wrong with a copy of the partition table.
func (d *Disk) TableDamage() error { return partition.Damaged(d.file, d.Sector, d.Size) }

// Amend gives partitions other labels and attributes, durably; see partition.Amend.
func (d *Disk) Amend(changes map[int]partition.Change) error {
	if err := partition.Amend(d.file, d.Sector, d.Size, changes); err != nil {
		return fmt.Errorf("%s: %w", d, err)
	}
	return nil
}

// NeedsLoop reports whether the kernel does not show partitions of the disk, so that loop
// devices have to.
func (d *Disk) NeedsLoop() bool { return !d.IsBlock() || d.text("ext_range") == "1" }

// WriteAt writes to the disk.
func (d *Disk) WriteAt(b []byte, offset int64) (int, error) { return d.file.WriteAt(b, offset) }

// Sync has everything on the disk survive a crash.
func (d *Disk) Sync() error { return d.file.Sync() }

// abs returns the path as the kernel names it.
func (d *Disk) abs() string {
	if p, err := filepath.EvalSymlinks(d.Path); err == nil {
		if p, err := filepath.Abs(p); err == nil {
			return p
		}
	}
	return d.Path
}
