// Package esps keeps further EFI system partitions equal to the one that a machine boots from, so
// that it boots from another disk when that one has died. It hides how they are found and mounted,
// and that none of what goes wrong with one of them concerns another, or the machine:
//
//	for _, c := range esps.Host().Look(ctx, record, first, esps.Sizes) {
//		fmt.Println(c.PartUUID, c.State, c.Err)
//	}
package esps

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/partition"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/partdev"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
)

// A State says how a further partition compares with the first.
type State string

// The states of a partition.
const (
	Equal   State = "equal"
	Behind  State = "behind"  // something is missing on it, is not the same, or is not needed any more
	Missing State = "missing" // no disk has it
	Unknown State = "unknown" // it cannot be read
)

// A Copy is a further partition.
type Copy struct {
	PartUUID string
	Device   string // "" if it was not found
	State    State
	Err      error // why it is missing, or unknown, or could not be made equal
	// Occupied is where another program has a boot loader on it, see boot.Mirroring.
	Occupied string
	Changed  []string // paths that were written or removed; for one that is behind, that would be
}

// How carefully kernels are compared.
const (
	Sizes    = false // by the sizes of their files
	Contents = true  // byte for byte
)

// A System is where partitions are found.
type System struct {
	// Find returns the device of a partition by its PARTUUID. The error is fs.ErrNotExist if there
	// is none.
	Find func(partuuid string) (device string, err error)
	// Mount opens the file system of a device.
	Mount func(device string, writable bool) (*boot.Partition, error)
	// Entry returns what the table of the disk says of a partition. The error is ENOTBLK if device
	// is none.
	Entry func(device string) (partition.Partition, error)
	// Mounted is Entry for a partition that is mounted at a directory.
	Mounted func(dir string) (partition.Partition, error)
}

// Host returns the running system.
func Host() System {
	find := func(partuuid string) (string, error) { return partdev.Host().Find(partuuid, "") }
	return System{find, mount, entry, mounted}
}

func entry(device string) (partition.Partition, error) {
	major, minor, err := sys.BlockDevice(device)
	if err != nil {
		return partition.Partition{}, err
	}
	return partdev.Host().Entry(fmt.Sprintf("%d:%d", major, minor))
}

func mounted(dir string) (partition.Partition, error) {
	device, err := partdev.DeviceOf(dir)
	if err != nil {
		return partition.Partition{}, err
	}
	return partdev.Host().Entry(device)
}

// mount opens a partition. Where another program has it mounted to be written, the kernel does not
// mount it read-only; it is then only not written to.
func mount(device string, writable bool) (*boot.Partition, error) {
	p, err := boot.Mount(device, writable)
	if errors.Is(err, syscall.EBUSY) && !writable {
		return boot.Mount(device, true)
	}
	return p, err
}

// A First is the partition that a machine boots from, with the deployments that a copy of it gets.
type First struct {
	Entries *boot.Partition // has the boot entries; the boot loader may be on another beside it
	Proven  []deployment.ID
}

// Look compares the recorded partitions with the first, which is left out, and changes nothing.
func (s System) Look(ctx context.Context, all deployment.ESPs, first First, contents bool) []Copy {
	return s.each(all, first, func(partuuid string) (Copy, bool) {
		c := Copy{PartUUID: partuuid}
		isFirst := s.with(&c, first, false, func(p *boot.Partition) error {
			_, err := c.compare(ctx, first, p, contents)
			return err
		})
		return c, !isFirst
	})
}

// Update makes the recorded partitions equal to the first. What it could not make equal has an
// error.
func (s System) Update(ctx context.Context, all deployment.ESPs, first First, contents bool) []Copy {
	return s.each(all, first, func(partuuid string) (Copy, bool) {
		c := Copy{PartUUID: partuuid}
		isFirst := s.with(&c, first, true, func(p *boot.Partition) error {
			m, err := c.compare(ctx, first, p, contents)
			if err != nil || c.State == Equal {
				return err
			}
			if err := m.Run(ctx); err != nil {
				return err
			}
			c.State = Equal
			return nil
		})
		return c, !isFirst
	})
}

func (s System) each(all deployment.ESPs, first First, look func(partuuid string) (Copy, bool)) (copies []Copy) {
	for _, partuuid := range all {
		if c, further := look(partuuid); further {
			copies = append(copies, c)
		}
	}
	return copies
}

// with opens the partition of a copy for f, whose error it notes. It reports whether that is
// the first, which f does not get.
func (s System) with(c *Copy, first First, writable bool, f func(*boot.Partition) error) (isFirst bool) {
	c.State = Unknown
	if c.Device, c.Err = s.Find(c.PartUUID); c.Err != nil {
		if errors.Is(c.Err, fs.ErrNotExist) {
			c.State = Missing
		}
		return false
	}
	p, err := s.Mount(c.Device, writable)
	if err != nil {
		c.Err = err
		return false
	}
	if isFirst, err = IsFirst(first.Entries, p); err == nil && !isFirst {
		err = f(p)
	}
	c.Err = errors.Join(err, p.Close())
	return isFirst
}

// IsFirst reports whether a partition is the one that the machine boots from.
func IsFirst(entries, p *boot.Partition) (bool, error) {
	isEntries, err := entries.IsSame(p)
	isLoaders, errLoader := entries.LoaderPartition().IsSame(p)
	return isEntries || isLoaders, errors.Join(err, errLoader)
}

// compare tells how the partition p of the copy compares with the first.
func (c *Copy) compare(ctx context.Context, first First, p *boot.Partition, contents bool) (boot.Mirroring, error) {
	m, err := first.Entries.PlanMirror(ctx, p, first.Proven, contents)
	if err != nil {
		return m, err
	}
	c.State, c.Occupied = Equal, m.Occupied
	c.Changed = append(m.Writes(), m.Removal.Paths()...)
	if !m.Equal() {
		c.State = Behind
	}
	return m, nil
}

// typeESP is the type of an EFI system partition, in the Discoverable Partitions Specification.
const typeESP = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"

// PartUUID returns the PARTUUID of a device. The error says why it cannot become a further
// partition; its file system is not looked at.
func (s System) PartUUID(device string) (string, error) {
	entry, err := s.Entry(device)
	return partUUID(device, entry, err)
}

// PartUUIDOf is PartUUID for a partition that is open, by its device or where it is mounted.
func (s System) PartUUIDOf(p *boot.Partition) (string, error) {
	entry, err := s.Entry(p.String())
	if errors.Is(err, syscall.ENOTBLK) {
		entry, err = s.Mounted(p.String())
	}
	return partUUID(p.String(), entry, err)
}

func partUUID(device string, entry partition.Partition, err error) (string, error) {
	switch {
	case err != nil:
		return "", fmt.Errorf("%s: %w", device, err)
	case entry.Type != typeESP:
		return "", fmt.Errorf("%s is not an EFI system partition: its type is %q", device, entry.Type)
	case !deployment.IsPartUUID(entry.UUID):
		return "", fmt.Errorf("%s has no UUID in the partition table", device)
	}
	return entry.UUID, nil
}
