package timeline

import (
	"slices"
	"testing"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/linux/bootsteps"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/systemd"
)

const ms = time.Millisecond

func TestWithSystemdInTheInitramfs(t *testing.T) {
	times := systemd.Times{
		Firmware: 3000 * ms, Loader: 1000 * ms, Initrd: 400 * ms,
		InitrdGeneratorsStart: 450 * ms, InitrdGeneratorsFinish: 460 * ms,
		Userspace: 2000 * ms, Finish: 5000 * ms,
	}
	got := assemble(times,
		[]bootsteps.Step{{Name: "prepare the root", Start: 1800 * ms, End: 1820 * ms}},
		[]systemd.UnitStep{{Unit: "systemd-udevd.service", Start: 500 * ms, End: 700 * ms}})
	want := Timeline{
		Phases: []Span{
			{Firmware, -3000 * ms, -1000 * ms}, {Loader, -1000 * ms, 0}, {Kernel, 0, 400 * ms},
			{Initramfs, 400 * ms, 2000 * ms}, {Userspace, 2000 * ms, 5000 * ms},
		},
		Steps: []Span{
			{"generators", 450 * ms, 460 * ms}, {"systemd-udevd.service", 500 * ms, 700 * ms},
			{"prepare the root", 1800 * ms, 1820 * ms},
		},
	}
	equal(t, got, want)
}

func TestWithoutFirmwareAndSystemd(t *testing.T) {
	times := systemd.Times{Userspace: 900 * ms, Finish: 4000 * ms}
	got := assemble(times, []bootsteps.Step{{Name: "find the root", Start: 600 * ms, End: 800 * ms}}, nil)
	equal(t, got, Timeline{
		Phases: []Span{{Kernel, 0, 600 * ms}, {Initramfs, 600 * ms, 900 * ms}, {Userspace, 900 * ms, 4000 * ms}},
		Steps:  []Span{{"find the root", 600 * ms, 800 * ms}},
	})
}

func TestWithoutInitramfs(t *testing.T) {
	got := assemble(systemd.Times{Userspace: 900 * ms, Finish: 4000 * ms}, nil, nil)
	equal(t, got, Timeline{Phases: []Span{{Kernel, 0, 900 * ms}, {Userspace, 900 * ms, 4000 * ms}}})
}

func equal(t *testing.T, got, want Timeline) {
	t.Helper()
	if !slices.Equal(got.Phases, want.Phases) || !slices.Equal(got.Steps, want.Steps) {
		t.Errorf("the timeline is\n%+v\nwant\n%+v", got, want)
	}
}
