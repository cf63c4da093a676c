package partdev

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/format/mountplan"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
)

// DeviceOf returns the number of the block device that is mounted at a directory, as
// MAJOR:MINOR, or "" if it is no block device.
func DeviceOf(dir string) (string, error) {
	f, err := os.Open(dir)
	if err != nil {
		return "", err
	}
	defer f.Close()
	st, err := sys.Statx(f, "")
	if err != nil {
		return "", err
	}
	if st.DevMajor != 0 {
		return fmt.Sprintf("%d:%d", st.DevMajor, st.DevMinor), nil
	}
	// A btrfs may have several devices, so it has a number of its own: the mount table
	// has the name of one of them.
	mounts, err := Mounts()
	if err != nil {
		return "", err
	}
	for _, m := range mounts {
		if uint64(m.ID) != st.MountID || !path.IsAbs(m.What) {
			continue
		}
		if major, minor, err := sys.BlockDevice(m.What); err == nil {
			return fmt.Sprintf("%d:%d", major, minor), nil
		}
	}
	return "", nil
}

// Mounts returns the mount table of this process.
func Mounts() ([]mountplan.Mounted, error) {
	text, err := bounded.ReadPath("/proc/self/mountinfo", limits.Kernel)
	if err != nil {
		return nil, err
	}
	return mountplan.ParseMountinfo(string(text))
}

// deepest is how many devices of the device mapper may be on each other.
const deepest = 8

// disksOf returns the directories in sysfs of the disks that a block device is on, none for "".
func (s System) disksOf(device string) ([]string, error) {
	if device == "" {
		return nil, nil
	}
	dir, err := filepath.EvalSymlinks(filepath.Join(s.Sys, "dev/block", device))
	if errors.Is(err, fs.ErrNotExist) { // which is not that there is no partition
		return nil, fmt.Errorf("cannot tell which disk the root is on: %s does not have device %s", s.Sys, device)
	}
	if err != nil {
		return nil, err
	}
	devices, err := s.members(dir)
	if err != nil {
		return nil, err
	}
	return disksOfAll(devices, deepest)
}

// members returns all devices of the btrfs that one is part of, or that one. The mount table names
// any of them.
func (s System) members(dir string) ([]string, error) {
	found, err := filepath.Glob(filepath.Join(s.Sys, "fs/btrfs/*/devices", filepath.Base(dir)))
	if len(found) == 0 || err != nil {
		return []string{dir}, err
	}
	return linked(filepath.Dir(found[0]))
}

// linked returns what the links in a directory lead to.
func linked(dir string) (all []string, err error) {
	list, err := os.ReadDir(dir)
	for _, link := range list {
		to, err := filepath.EvalSymlinks(filepath.Join(dir, link.Name()))
		if err != nil {
			return nil, err
		}
		all = append(all, to)
	}
	return all, err
}

func disksOfAll(dirs []string, depth int) (all []string, err error) {
	for _, dir := range dirs {
		disks, err := disksBelow(dir, depth)
		if err != nil {
			return nil, err
		}
		all = append(all, disks...)
	}
	return all, nil
}

// disksBelow returns the disk of a partition, what a device of the device mapper is on, or the
// device itself.
func disksBelow(dir string, depth int) ([]string, error) {
	if _, err := os.Stat(filepath.Join(dir, "partition")); err == nil {
		return []string{filepath.Dir(dir)}, nil
	}
	slaves, err := linked(filepath.Join(dir, "slaves"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if len(slaves) == 0 || depth == 0 {
		return []string{dir}, nil
	}
	return disksOfAll(slaves, depth-1)
}
