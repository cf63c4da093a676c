package standalone

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/format/uevent"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
)

// A finder waits for the root's device, and loads the drivers of all devices that appear
// meanwhile.
type finder struct {
	want    want
	esp     string // see want.choose
	devices devices
	events  source
	load    func(aliases ...string)
	waiting []string // aliases of devices that have appeared since the last load
	log     *log
}

// A source is where events come from, as sys.Uevents does.
type source interface {
	Next(until time.Time) ([]byte, error)
}

// find returns the device of the root once it is there. The kernel has to be listened to
// already: find first looks at the devices there are, and then waits for more.
func (f *finder) find(now time.Time) (choice, error) {
	var until time.Time // for ever
	if f.want.wait > 0 {
		until = now.Add(f.want.wait)
	}
	f.lookAround()
	for {
		if err := f.drain(); err != nil {
			return choice{}, err
		}
		all, err := f.devices.refresh()
		if err != nil {
			return choice{}, fmt.Errorf("cannot list the block devices: %w", err)
		}
		found, err := f.want.choose(all, f.esp)
		if !errors.Is(err, errNotYet) {
			return found, err
		}
		f.log.debug("the root was not found among %d devices", len(all))
		switch again := f.next(until); {
		case errors.Is(again, os.ErrDeadlineExceeded):
			if found.name != "" && slices.Contains(f.want.flags, "degraded") {
				return found, nil
			}
			return choice{}, f.missing(all, err)
		case again != nil:
			return choice{}, again
		}
	}
}

// lookAround has the drivers loaded for the devices there are. All of a bus are in a folder
// that is short to walk.
func (f *finder) lookAround() {
	names, err := filepath.Glob(filepath.Join(f.devices.sys, "bus/*/devices/*/modalias"))
	if err != nil {
		return // only a bad pattern is an error
	}
	for _, name := range names {
		if text, err := bounded.ReadPath(name, limits.Kernel); err == nil {
			f.drive(strings.TrimSpace(string(text)))
		}
	}
}

// drive has the driver of a device loaded together with those of others.
func (f *finder) drive(alias string) {
	if alias != "" && !slices.Contains(f.waiting, alias) {
		f.waiting = append(f.waiting, alias)
	}
}

// drain handles all events that have come, and loads the drivers for them all at once, until
// no more come. Only then the devices are looked at: two that come together are seen
// together.
func (f *finder) drain() error {
	for {
		err := f.next(time.Now())
		switch {
		case err == nil:
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return err
		case len(f.waiting) == 0:
			return nil
		default:
			f.load(f.waiting...)
			f.waiting = nil
		}
	}
}

// next handles the next event. If some are lost, everything is looked at again.
func (f *finder) next(until time.Time) error {
	message, err := f.events.Next(until)
	switch {
	case errors.Is(err, sys.ErrOverrun):
		f.log.warn("device events were lost: scanning all devices again")
		clear(f.devices.known)
		f.lookAround()
		return nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		return err
	case err != nil:
		return fmt.Errorf("cannot wait for devices: %w", err)
	}
	if event, err := uevent.Parse(message); err == nil {
		f.handle(event)
	}
	return nil
}

func (f *finder) handle(event uevent.Event) {
	if event.Values["SUBSYSTEM"] == "block" {
		f.devices.forget(event.Values["DEVNAME"])
	}
	if event.Action == "add" {
		f.drive(event.Values["MODALIAS"])
	}
}

// missing returns the error for a root that did not appear. It has what there is instead,
// as far as that tells why.
func (f *finder) missing(all []device, why error) error {
	what := "no device has " + f.want.String()
	switch {
	case why != errNotYet:
		what = strings.TrimPrefix(why.Error(), errNotYet.Error()+": ")
	case f.want.by == byName:
		what = "there is no " + f.want.String()
	case f.want.by == byType:
		what = "no disk has a root partition"
		if f.esp != "" {
			what = "the boot disk has no root partition"
		}
	}
	err := fmt.Errorf("cannot find the root file system: %s after %s", what, f.want.wait)
	if len(all) == 0 {
		return fmt.Errorf("%w; no disks were found: a driver may be missing from the initramfs", err)
	}
	var names []string
	var hint string
	for _, d := range all {
		names = append(names, d.describe())
		if d.content.Container && hint == "" {
			hint = fmt.Sprintf("; the root may be inside %s on %s, %s", d.content.Type, d.path(), seeDracut)
		}
	}
	return fmt.Errorf("%w; found: %s%s", err, joinNames(names), hint)
}
