// Package timeline tells where the time of this boot went: in the firmware, the boot loader,
// the kernel, each step of the initramfs, and the system. It hides that systemd, the journal
// and the initramfs itself each know a part of it.
package timeline

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/linux/bootsteps"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/systemd"
)

// A Span is a part of the boot.
type Span struct {
	Name       string
	Start, End time.Duration // since the kernel began: firmware and loader are before
}

// A Timeline is where the time of a boot went.
type Timeline struct {
	// Phases follow each other without a gap: firmware, loader, kernel, initramfs,
	// userspace. One that the machine does not have is not there.
	Phases []Span
	// Steps are what the initramfs did, in the order in which it began. Some overlap.
	Steps []Span
	// Complete is when boot-complete.target was reached, since the kernel began, and 0 if
	// it was not.
	Complete time.Duration
}

// The names of the phases.
const (
	Firmware  = "firmware"
	Loader    = "loader"
	Kernel    = "kernel"
	Initramfs = "initramfs"
	Userspace = "userspace"
)

// ErrNotFinished reports that units of the boot are still being started.
var ErrNotFinished = errors.New("the boot has not finished yet")

// Read returns the timeline of this boot. root is the root of the running system. What the
// user may not read is missing, and warn says so.
func Read(ctx context.Context, root fs.FS, warn func(error)) (Timeline, error) {
	times, err := systemd.BootTimes(ctx)
	if err != nil {
		return Timeline{}, err
	}
	if times.Finish == 0 {
		return Timeline{}, ErrNotFinished
	}
	own, err := bootsteps.Read(root)
	if err != nil {
		warn(err)
	}
	var units []systemd.UnitStep
	if times.Initrd > 0 {
		if units, err = systemd.UnitSteps(ctx, times.Userspace); err != nil {
			warn(err)
		}
	}
	t := assemble(times, own, units)
	if t.Complete, err = systemd.ActiveSince(ctx, "boot-complete.target"); err != nil {
		warn(err)
	}
	return t, nil
}

func assemble(times systemd.Times, own []bootsteps.Step, units []systemd.UnitStep) Timeline {
	t := Timeline{Steps: steps(times, own, units)}
	initramfs := times.Initrd
	if initramfs == 0 && len(t.Steps) > 0 {
		initramfs = t.Steps[0].Start // without systemd in it
	}
	kernelEnd := times.Userspace
	if initramfs > 0 {
		kernelEnd = initramfs
	}
	for _, s := range []Span{
		{Firmware, -times.Firmware, -times.Loader},
		{Loader, -times.Loader, 0},
		{Kernel, 0, kernelEnd},
		{Initramfs, initramfs, times.Userspace},
		{Userspace, times.Userspace, times.Finish},
	} {
		if s.Start != 0 && s.End > s.Start || s.Name == Kernel {
			t.Phases = append(t.Phases, s)
		}
	}
	return t
}

func steps(times systemd.Times, own []bootsteps.Step, units []systemd.UnitStep) []Span {
	all := []Span{
		{"generators", times.InitrdGeneratorsStart, times.InitrdGeneratorsFinish},
		{"loading units", times.InitrdUnitsStart, times.InitrdUnitsFinish},
	}
	for _, s := range own {
		all = append(all, Span{s.Name, s.Start, s.End})
	}
	for _, s := range units {
		all = append(all, Span{s.Unit, s.Start, s.End})
	}
	all = slices.DeleteFunc(all, func(s Span) bool { return s.End <= s.Start || s.Start > times.Userspace })
	slices.SortStableFunc(all, func(a, b Span) int { return int(a.Start - b.Start) })
	return all
}
