package device

import (
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/format/mountplan"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
)

// An InUseError says that a disk must not be overwritten now.
type InUseError struct{ Disk, Why string }

func (e *InUseError) Error() string { return e.Disk + " is in use: " + e.Why }

// check refuses a disk that is in use, and a partition. What names the reason comes before
// the kernel's own answer, which has none but knows of everything, also in other mount
// namespaces.
func (d *Disk) check() error {
	if !d.IsBlock() {
		return d.backs()
	}
	if d.text("partition") != "" {
		return fmt.Errorf("%s is a partition: name the whole disk, or make file systems and use install to-filesystem", d)
	}
	names := append([]string{d.name}, d.parts()...)
	for _, find := range []func([]string) (string, error){d.mounted, d.swapped, d.held} {
		why, err := find(names)
		if err != nil {
			return err
		}
		if why != "" {
			return &InUseError{d.String(), why}
		}
	}
	if err := d.backs(); err != nil {
		return err
	}
	f, err := sys.OpenExclusive(d.Path)
	if errors.Is(err, sys.ErrBusy) {
		return &InUseError{d.String(), "the kernel or another program has claimed it or a partition of it"}
	}
	if err != nil {
		return err
	}
	return f.Close()
}

// Claim refuses a disk that another installation has claimed, until that has closed it.
func (d *Disk) Claim() error {
	locked, err := sys.TryLockFile(d.file)
	if err == nil && !locked {
		err = &InUseError{d.String(), "another install is writing to it"}
	}
	return err
}

// mounted says what of some devices is mounted where.
func (d *Disk) mounted(names []string) (string, error) {
	data, err := bounded.ReadRoot(d.host, "proc/self/mountinfo", limits.Kernel)
	if err != nil {
		return "", err
	}
	mounts, err := mountplan.ParseMountinfo(string(data))
	if err != nil {
		return "", err
	}
	for _, m := range mounts {
		for _, name := range names {
			if m.Device == d.textOf(name, "dev") || m.What == "/dev/"+name {
				return fmt.Sprintf("%s is mounted at %s", name, m.Where), nil
			}
		}
	}
	return "", nil
}

// swapped says which of some devices is swap space.
func (d *Disk) swapped(names []string) (string, error) {
	data, err := bounded.ReadRoot(d.host, "proc/swaps", limits.Kernel)
	if found, err := bounded.Found(err); !found || err != nil {
		return "", err
	}
	for line := range strings.Lines(string(data)) {
		fields := strings.Fields(line)
		if len(fields) > 0 && slices.Contains(names, path.Base(fields[0])) {
			return path.Base(fields[0]) + " is swap space", nil
		}
	}
	return "", nil
}

// held says what is made of some devices: LVM, RAID, LUKS.
func (d *Disk) held(names []string) (string, error) {
	for _, name := range names {
		holders := d.namesIn(name, "holders")
		if len(holders) == 0 {
			continue
		}
		holder := holders[0]
		if dm := d.textOf(holder, "dm", "name"); dm != "" {
			holder = "/dev/mapper/" + dm
		}
		return fmt.Sprintf("%s is a part of %s", name, holder), nil
	}
	return "", nil
}

// backs refuses a disk or file that a loop device reads, by whatever name it was opened.
func (d *Disk) backs() error {
	for _, name := range d.namesIn() {
		file := d.textOf(name, "loop", "backing_file")
		if file != "" && (file == d.abs() || d.isBackingOf(name)) {
			return &InUseError{d.String(), "/dev/" + name + " is a loop device of it"}
		}
	}
	return nil
}

// isBackingOf reports whether a loop device reads this disk, as far as the kernel says so.
func (d *Disk) isBackingOf(name string) bool {
	got, err := sys.ReadLoopBacking("/dev/" + name)
	info, err2 := os.Stat(d.Path)
	if err != nil || err2 != nil {
		return false
	}
	own, ok := info.Sys().(*syscall.Stat_t)
	if ok && d.IsBlock() {
		return got.Device == own.Rdev
	}
	return ok && got.FileDevice == uint64(own.Dev) && got.Inode == own.Ino
}
