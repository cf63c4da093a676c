package standalone

import (
	"errors"
	"fmt"
	"runtime"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/discoverable"
	"github.com/sysupdate-image/sysupdate-image/internal/format/superblock"
)

// A choice is the device of the root file system. The others are those that a btrfs has
// besides.
type choice struct {
	device
	others   []device
	readOnly bool // its partition says so
}

// errNotYet reports that there is no root so far: it may still appear.
var errNotYet = errors.New("not found")

// choose returns the root among the devices there are. esp is the PARTUUID of the EFI
// system partition that was booted from, "" if that is not known. An error that is not
// errNotYet is one that waiting does not mend: of several devices that fit, none is taken.
func (w want) choose(all []device, esp string) (choice, error) {
	fitting, err := w.fitting(all, esp)
	if err != nil {
		return choice{}, err
	}
	if len(fitting) == 0 {
		return choice{}, errNotYet
	}
	first := fitting[0]
	c := choice{device: first, readOnly: first.partition.Attributes&discoverable.ReadOnly != 0}
	for _, other := range fitting[1:] {
		if !sameBtrfs(first, other) {
			return choice{}, ambiguous(w, fitting)
		}
	}
	if err := w.usable(first); err != nil {
		return choice{}, err
	}
	return w.complete(c, all)
}

// usable returns why a device cannot be mounted as the root, nil if nothing is known.
func (w want) usable(d device) error {
	name := d.path()
	if w.by != byName && w.by != byType {
		name += ", which has " + w.String() + ","
	}
	switch {
	case d.err != nil:
		return fmt.Errorf("cannot read the root %s: %w", d.path(), d.err)
	case d.content.Container:
		return fmt.Errorf("%s holds %s, %s", name, d.content.Type, seeDracut)
	case d.content.Type == "" && w.fstype == "":
		return fmt.Errorf("cannot detect the file system on %s (known: ext4, XFS, btrfs, F2FS): set rootfstype=", name)
	}
	return nil
}

// fitting returns the devices that are what the command line asks for.
func (w want) fitting(all []device, esp string) ([]device, error) {
	if w.by == byType {
		return rootPartitions(all, esp)
	}
	var some []device
	for _, d := range all {
		if w.fits(d) {
			some = append(some, d)
		}
	}
	return some, nil
}

func (w want) fits(d device) bool {
	switch w.by {
	case byName:
		return d.name == w.value
	case byUUID:
		return strings.EqualFold(d.content.UUID, w.value)
	case byLabel:
		return d.content.Label == w.value
	case byPartUUID:
		return strings.EqualFold(d.partition.UUID, w.value)
	case byPartLabel:
		return d.partition.Label == w.value
	}
	return false
}

// rootPartitions returns those with the type of a root for this architecture, on the disk
// that the machine was booted from, or, where the boot loader does not tell, on any. See the
// Discoverable Partitions Specification.
func rootPartitions(all []device, esp string) ([]device, error) {
	disk := ""
	if esp != "" {
		loader := want{by: byPartUUID, value: esp}
		booted, _ := loader.fitting(all, "")
		switch len(booted) {
		case 0:
			return nil, nil
		case 1:
			disk = booted[0].disk
		default:
			return nil, ambiguous(loader, booted)
		}
	}
	var some []device
	for _, d := range all {
		ofType := d.partition.Type != "" && d.partition.Type == discoverable.RootType(runtime.GOARCH)
		if ofType && d.partition.Attributes&discoverable.NoAuto == 0 && (disk == "" || d.disk == disk) {
			some = append(some, d)
		}
	}
	return some, nil
}

// sameBtrfs reports whether two devices are different ones of one file system.
func sameBtrfs(a, b device) bool {
	return a.content.Type == superblock.Btrfs && b.content.Type == superblock.Btrfs &&
		a.content.UUID == b.content.UUID && a.content.Member != b.content.Member
}

// ambiguous returns the error for several devices that fit.
func ambiguous(w want, some []device) error {
	var names []string
	for _, d := range some {
		names = append(names, d.path())
	}
	what := "have " + w.String()
	if w.by == byType {
		what = "are root partitions"
	}
	return fmt.Errorf("cannot choose the root: %s %s; set root=PARTUUID= on the kernel command line, or disconnect one", joinNames(names), what)
}

// joinNames returns "a and b" or "a, b and c".
func joinNames(names []string) string {
	last := len(names) - 1
	if last < 1 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:last], ", ") + " and " + names[last]
}

// complete adds the other devices of a btrfs. While one is missing it is errNotYet, with
// the choice of those that are there.
func (w want) complete(c choice, all []device) (choice, error) {
	if c.content.Type != superblock.Btrfs {
		return c, nil
	}
	members := []device{c.device}
	for _, d := range all {
		if d.name == c.name || d.content.Type != superblock.Btrfs || d.content.UUID != c.content.UUID {
			continue
		}
		for _, m := range members {
			if !sameBtrfs(m, d) {
				return choice{}, ambiguous(want{by: byUUID, value: c.content.UUID}, []device{m, d})
			}
		}
		members = append(members, d)
	}
	c.others = members[1:]
	if uint64(len(members)) < c.content.Members {
		return c, fmt.Errorf("%w: only %d of the %d devices of the btrfs on %s are there", errNotYet, len(members), c.content.Members, c.path())
	}
	return c, nil
}
