package update

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bootentry"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/kcmdline"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/esps"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/records"
)

// copyESPs makes the further EFI system partitions equal to the first after a change. The change
// is done: what goes wrong is a warning.
func (m *Machine) copyESPs(ctx context.Context) {
	if _, err := m.UpdateESPs(ctx, esps.Sizes); err != nil && !errors.Is(err, ErrNoESPs) {
		m.warn(err)
	}
}

// ErrNoESPs says that a machine has one EFI system partition.
var ErrNoESPs = errors.New("no further EFI system partitions")

// UpdateESPs makes the further EFI system partitions equal to the first, and warns of each that it
// could not. The error says why none was looked at.
func (m *Machine) UpdateESPs(ctx context.Context, contents bool) ([]esps.Copy, error) {
	all, err := m.espRecord()
	if err == nil && len(all) == 0 {
		err = ErrNoESPs
	}
	if err != nil {
		return nil, err
	}
	first, err := m.firstESP()
	if err != nil {
		return nil, err
	}
	copies := m.esps.Update(ctx, all, first, contents)
	for _, c := range copies {
		if c.Err != nil {
			m.warn(&ESPError{c})
		}
	}
	return copies, ctx.Err()
}

// An ESPError says that a further EFI system partition is not equal to the first.
type ESPError struct{ Copy esps.Copy }

func (e *ESPError) Error() string {
	return fmt.Sprintf("the EFI system partition with PARTUUID=%s is not up to date: %v", e.Copy.PartUUID, e.Copy.Err)
}

func (e *ESPError) Unwrap() error { return e.Copy.Err }

// espRecord returns the EFI system partitions that are kept equal, none without a record.
func (m *Machine) espRecord() (deployment.ESPs, error) {
	all, err := records.IfAny(records.LoadESPs(m.Root.FS()))
	if err != nil || all == nil {
		return nil, err
	}
	return *all, nil
}

// firstESP returns what the others are made equal to.
func (m *Machine) firstESP() (esps.First, error) {
	s, err := m.readState()
	if err == nil && m.Boot == nil {
		err = errNothingApplied
	}
	return esps.First{Entries: m.Boot, Proven: s.Proven()}, err
}

// An ESPPlan says what adding a further EFI system partition writes.
type ESPPlan struct {
	PartUUID, Device string
	Already          bool     // it is one
	Writes, Removes  []string // paths
	Need, Free       int64    // bytes, at most
	Occupied         string   // see boot.Mirroring
}

// PlanAddESP returns what AddESP would do with a device. The error says why it cannot be added.
func (m *Machine) PlanAddESP(ctx context.Context, device string) (plan ESPPlan, err error) {
	err = m.withNewESP(ctx, device, false, &plan, func(boot.Mirroring) error { return nil })
	return plan, err
}

// AddESP makes a device a further EFI system partition: the machine boots from it where the
// first is gone. If AddESP fails or is stopped, it is none, and the next try completes it.
func (m *Machine) AddESP(ctx context.Context, device string) (plan ESPPlan, err error) {
	err = m.withNewESP(ctx, device, true, &plan, func(mirroring boot.Mirroring) error {
		if err := mirroring.Run(ctx); err != nil {
			return err
		}
		return m.recordESP(plan.PartUUID)
	})
	return plan, err
}

// withNewESP opens a device that may become a further EFI system partition for f, and completes
// the plan for it before.
func (m *Machine) withNewESP(ctx context.Context, device string, writable bool, plan *ESPPlan, f func(boot.Mirroring) error) (err error) {
	first, err := m.firstESP()
	if err == nil {
		err = m.checkLoaderForESPs()
	}
	if err != nil {
		return err
	}
	if plan.PartUUID, err = m.esps.PartUUID(device); err != nil {
		return err
	}
	plan.Device = device
	all, err := m.espRecord()
	if err != nil {
		return err
	}
	if plan.Already = slices.Contains(all, plan.PartUUID); !plan.Already && len(all) == deployment.MostESPs {
		return fmt.Errorf("there are %d EFI system partitions already", len(all))
	}
	p, err := m.openFurther(device, writable)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	mirroring, err := m.planESP(ctx, first, p, plan)
	if err != nil {
		return err
	}
	return f(mirroring)
}

var errIsFirst = errors.New("is the partition that the machine boots from")

// openFurther opens a device that is not the partition which the machine boots from.
func (m *Machine) openFurther(device string, writable bool) (*boot.Partition, error) {
	p, err := m.esps.Mount(device, writable)
	if err != nil {
		return nil, err
	}
	isFirst, err := esps.IsFirst(m.Boot, p)
	if isFirst {
		err = fmt.Errorf("%s %w", device, errIsFirst)
	}
	if err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

// planESP completes a plan for the partition p, which may not have anything of another system
// unless it was added before.
func (m *Machine) planESP(ctx context.Context, first esps.First, p *boot.Partition, plan *ESPPlan) (boot.Mirroring, error) {
	if !plan.Already {
		if err := m.Boot.CheckMirror(p); err != nil {
			return boot.Mirroring{}, err
		}
	}
	mirroring, err := m.Boot.PlanMirror(ctx, p, first.Proven, esps.Contents)
	if err != nil {
		return mirroring, err
	}
	if err := m.checkRootArg(mirroring.First()); err != nil {
		return mirroring, err
	}
	plan.Writes, plan.Removes, plan.Occupied = mirroring.Writes(), mirroring.Removal.Paths(), mirroring.Occupied
	if plan.Need, plan.Free, err = mirroring.Room(); err != nil {
		return mirroring, err
	}
	return mirroring, mirroring.CheckRoom(plan.Need, plan.Free)
}

// ErrNoRootArg says that a machine finds its root by the disk of the boot loader.
var ErrNoRootArg = errors.New("the root would not be found from another disk: the kernel arguments have no root=")

// checkRootArg refuses a machine that boots from its first disk alone: without root=, the initramfs
// looks for the root on the disk that the boot loader came from.
func (m *Machine) checkRootArg(e bootentry.Entry) error {
	options, err := m.Boot.Cmdline(e)
	if err != nil {
		return err
	}
	if root, ok := kcmdline.Parse(options).Last("root"); !ok || root == "gpt-auto" {
		return ErrNoRootArg
	}
	return nil
}

// checkLoaderForESPs refuses a machine whose boot loader is not systemd-boot: GRUB finds its
// entries on one partition, whichever it was started from.
func (m *Machine) checkLoaderForESPs() error {
	l, err := records.IfAny(records.LoadLoader(m.Root.FS()))
	switch {
	case err != nil:
		return err
	case m.Boot.HasGRUB(), l != nil && l.Kind != deployment.SystemdBoot:
		return errors.New("only a machine with systemd-boot can have further EFI system partitions")
	}
	return nil
}

// recordESP adds a partition to the record, and, if it is known, the one that the machine boots from.
func (m *Machine) recordESP(partuuid string) error {
	all, err := m.espRecord()
	if err != nil {
		return err
	}
	if first := m.firstPartUUID(); first != "" && !slices.Contains(all, first) && len(all) < deployment.MostESPs-1 {
		all = append(all, first)
	}
	if !slices.Contains(all, partuuid) {
		all = append(all, partuuid)
	}
	return records.StoreESPs(m.Changes, all)
}

// firstPartUUID returns the PARTUUID of the partition that the machine boots from, "" if it is not
// known.
func (m *Machine) firstPartUUID() string {
	partuuid, err := m.esps.PartUUIDOf(m.Boot.LoaderPartition())
	if err != nil {
		return ""
	}
	return partuuid
}

// RemoveESP has a partition, by its device or PARTUUID, no longer kept equal, and removes from it
// what would boot the machine. Of one that is missing, only the record goes, and of one that cannot
// be cleared too, with a warning: its disk may be about to be replaced.
func (m *Machine) RemoveESP(name string) (esps.Copy, error) {
	all, err := m.espRecord()
	if err != nil {
		return esps.Copy{}, err
	}
	c, err := m.findESP(all, name)
	if err != nil {
		return c, err
	}
	if c.State != esps.Missing {
		err = m.clearESP(c)
	}
	if errors.Is(err, errIsFirst) {
		return c, err
	}
	if err != nil {
		m.warn(fmt.Errorf("%s may still boot the machine: %w", c.Device, err))
	}
	left := slices.DeleteFunc(slices.Clone(all), func(uuid string) bool { return uuid == c.PartUUID })
	if len(left) == 0 || slices.Equal(left, []string{m.firstPartUUID()}) {
		return c, records.DropESPs(m.Changes)
	}
	return c, records.StoreESPs(m.Changes, left)
}

// findESP returns the recorded partition with a name.
func (m *Machine) findESP(all deployment.ESPs, name string) (esps.Copy, error) {
	c := esps.Copy{PartUUID: name, State: esps.Missing}
	if !deployment.IsPartUUID(name) {
		uuid, err := m.esps.PartUUID(name)
		if err != nil {
			return c, err
		}
		c.PartUUID = uuid
	}
	if !slices.Contains(all, c.PartUUID) {
		return c, fmt.Errorf("%s is not a further EFI system partition of this machine", name)
	}
	device, err := m.esps.Find(c.PartUUID)
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	c.Device, c.State = device, esps.Unknown
	return c, err
}

// clearESP removes from a partition what boots the machine.
func (m *Machine) clearESP(c esps.Copy) error {
	p, err := m.openFurther(c.Device, true)
	if err != nil {
		return err
	}
	return errors.Join(p.Clear(), p.Close())
}
