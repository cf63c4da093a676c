// Package partdev finds the block device of a partition by its UUID in the partition table, on the
// disk that the root is on. It hides that early boot may have no udev, whose links would tell.
package partdev

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/format/partition"
	"github.com/sysupdate-image/sysupdate-image/internal/format/uevent"
)

// A System is where the kernel shows its devices.
type System struct {
	Sys, Dev string // where sysfs and devtmpfs are mounted
}

// Host returns the running system.
func Host() System { return System{"/sys", "/dev"} }

// Find returns the path of the block device of the partition with a UUID, in lower case, on the
// disk of the root file system, whose block device has the number root, as DeviceOf returns it:
// another disk with the same UUIDs is a copy. If root is "", it may be on any disk. The error is
// fs.ErrNotExist if there is none. Of two, none is taken.
func (s System) Find(uuid, root string) (string, error) {
	disks, err := s.disksOf(root)
	if err != nil {
		return "", err
	}
	names, err := filepath.Glob(filepath.Join(s.Sys, "class/block/*/partition"))
	if err != nil {
		return "", err
	}
	var found []string
	for _, name := range names {
		dir, err := filepath.EvalSymlinks(filepath.Dir(name))
		if err != nil || root != "" && !slices.Contains(disks, filepath.Dir(dir)) {
			continue
		}
		if got, path, err := s.look(dir); err == nil && got == uuid {
			found = append(found, path)
		}
	}
	switch len(found) {
	case 0:
		return "", fmt.Errorf("no partition has PARTUUID=%s%s: %w", uuid, among(disks), fs.ErrNotExist)
	case 1:
		return found[0], nil
	}
	return "", fmt.Errorf("%d partitions have PARTUUID=%s: %s", len(found), uuid, strings.Join(found, ", "))
}

// among says on which disks a partition was looked for.
func among(disks []string) string {
	if len(disks) == 0 {
		return ""
	}
	var names []string
	for _, dir := range disks {
		names = append(names, nodeOf(dir))
	}
	return " on the disk of the root, " + strings.Join(names, ", ")
}

// look returns the UUID and the path of a partition, whose directory in sysfs is dir.
func (s System) look(dir string) (uuid, path string, err error) {
	text, err := bounded.ReadPath(filepath.Join(dir, "uevent"), limits.Kernel)
	if err != nil {
		return "", "", err
	}
	values := uevent.ParseFile(string(text))
	path = filepath.Join(s.Dev, values["DEVNAME"])
	if uuid = values["PARTUUID"]; uuid == "" { // before Linux 6.9
		uuid, err = s.inTable(dir)
	}
	return uuid, path, err
}

// inTable reads the UUID of a partition in the table of its disk.
func (s System) inTable(dir string) (string, error) {
	p, err := s.entry(dir)
	return p.UUID, err
}

// ErrNoPartition says that a block device is no partition.
var ErrNoPartition = errors.New("not a partition")

// Entry returns what the table of its disk says of a partition, by the number of its block device
// as DeviceOf returns it. The error is ErrNoPartition if the device is none.
func (s System) Entry(device string) (partition.Partition, error) {
	dir, err := filepath.EvalSymlinks(filepath.Join(s.Sys, "dev/block", device))
	if err != nil {
		return partition.Partition{}, err
	}
	return s.entry(dir)
}

// entry is Entry by the directory in sysfs.
func (s System) entry(dir string) (partition.Partition, error) {
	var none partition.Partition
	number, err := read(dir, "partition")
	if errors.Is(err, fs.ErrNotExist) {
		return none, ErrNoPartition
	}
	if err != nil {
		return none, err
	}
	parent := filepath.Dir(dir)
	sector, err := read(parent, "queue/logical_block_size")
	if err != nil {
		return none, err
	}
	disk, err := os.Open(filepath.Join(s.Dev, nodeOf(parent)))
	if err != nil {
		return none, err
	}
	defer disk.Close()
	size, err := disk.Seek(0, io.SeekEnd)
	if err != nil {
		return none, err
	}
	table, err := partition.Read(disk, sector, size)
	if err != nil {
		return none, err
	}
	p, _ := table.Partition(int(number))
	return p, nil
}

// nodeOf returns the name of the node of a device whose directory in sysfs is dir. It may have
// slashes, which sysfs writes as "!".
func nodeOf(dir string) string { return strings.ReplaceAll(filepath.Base(dir), "!", "/") }

func read(dir, name string) (int64, error) {
	text, err := bounded.ReadPath(filepath.Join(dir, name), limits.Kernel)
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
}

// pause is how long Wait waits between two looks.
const pause = 50 * time.Millisecond

// Wait is Find that waits for the partition to appear.
func (s System) Wait(uuid, root string, limit time.Duration) (string, error) {
	for end := time.Now().Add(limit); ; time.Sleep(pause) {
		path, err := s.Find(uuid, root)
		if !errors.Is(err, fs.ErrNotExist) || time.Now().After(end) {
			return path, err
		}
	}
}
