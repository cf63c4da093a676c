package generators

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bootcount"
	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/format/timespan"
	"github.com/sysupdate-image/sysupdate-image/internal/format/unitfile"
	"github.com/sysupdate-image/sysupdate-image/internal/image/updateconfig"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/records"
)

const (
	bootFailedService = "sysupdate-image-boot-failed.service"
	blessService      = "systemd-bless-boot.service"
	// recordService takes its place where the initramfs alone counts.
	recordService = "sysupdate-image-bless.service"
)

// assessmentUnits makes a boot on trial end in another try or, when those are
// used up, in the previous deployment; nobody has to be there. A boot that
// nobody counts is left alone, since then the next one would be the same again. The
// initramfs counts as well: see deployment.Attempts.
func assessmentUnits(in Input, booted deployment.ID) ([]unitfile.Unit, error) {
	entry, err := bootcount.Booted(in.Root)
	record, _ := records.LoadAttempts(in.sysroot(), booted) // prepare-root has told what is wrong with it
	// After a soft reboot the loader speaks of another deployment.
	uncounted := errors.Is(err, fs.ErrNotExist) || err == nil && !entry.Name.MayBoot(string(booted))
	var stale []unitfile.Unit
	if found, _ := in.exists(countPath); uncounted && found {
		stale = append(stale, leaveUnblessed())
	}
	switch {
	case uncounted && !record.Trial && record.Failures == 0:
		return stale, nil
	case uncounted && !record.Trial: // a good boot ends that count, and no boot is repeated for it
		return append(stale, in.blessUnit(recordService)), nil
	// A malformed variable, too, means that the loader counts.
	case err != nil && !uncounted && !errors.Is(err, bootcount.ErrMalformed):
		return nil, fmt.Errorf("cannot tell whether this boot is on trial: %w", err)
	}
	units := append(stale, in.bootComplete(), in.blessed(entry, uncounted), keepLoader(booted))
	if !in.wantsRescue() {
		units = append(units, emergency())
	}
	return units, nil
}

// bootComplete changes boot-complete.target, which systemd-bless-boot.service
// requires on such a boot.
func (in Input) bootComplete() unitfile.Unit {
	// The configuration of the system that is on trial says how long that may take.
	limits, warnings := updateconfig.LoadLimits(func(name string) ([]byte, error) {
		return bounded.ReadFile(in.Root, name, limits.Text)
	})
	for _, w := range warnings {
		in.Warn(w)
	}
	return unitfile.Unit{Name: "boot-complete.target.d/50-sysupdate-image.conf", Options: []unitfile.Option{
		// By itself the target waits for nothing but what it requires. It cannot
		// wait for multi-user.target, as some units between the two are started
		// by that target and wait for this one, greenboot-success.target is one.
		unitfile.Set("Unit", "After", "basic.target"),
		// Something that it requires has failed, or it took too long.
		unitfile.Set("Unit", "OnFailure", bootFailedService),
		unitfile.Set("Unit", "JobTimeoutSec", timespan.Format(limits.Boot)),
	}}
}

// blessed changes systemd-bless-boot.service, or makes it where an image does without.
// systemd's own program renames a file below a mounted boot partition, which there may
// not be: without fstab(5) the ESP is found only where the root is on a partition of a
// type that says so. Ours finds and mounts it by itself, as it does at shutdown, and
// writes a copy and then removes the old entry, which survives a power cut on FAT.
//
// A unified kernel image in EFI/Linux, which the administrator has put there, is left
// to systemd, with a sync: its rename alone need not survive.
//
// Where only the initramfs counts there is no entry to bless, and systemd does not start its
// unit.
func (in Input) blessed(entry bootcount.Entry, uncounted bool) unitfile.Unit {
	if uncounted {
		return in.blessUnit(recordService)
	}
	if entry.UKI {
		return unitfile.Unit{Name: blessService + ".d/50-sysupdate-image.conf", Options: []unitfile.Option{
			unitfile.Set("Service", "ExecStartPre", bless), // in the record of the initramfs
			unitfile.Set("Service", "ExecStartPost", "-sync"),
		}}
	}
	// Where that cannot be told, a whole unit does the same.
	if found, _ := in.exists("usr/lib/systemd/system/" + blessService); found {
		return unitfile.Unit{Name: blessService + ".d/50-sysupdate-image.conf", Options: []unitfile.Option{
			unitfile.Set("Service", "ExecStart", ""),
			unitfile.Set("Service", "ExecStart", bless),
		}}
	}
	return in.blessUnit(blessService)
}

// bless is the program that makes a boot a good one.
const bless = "/usr/lib/sysupdate-image/finalize bless"

// blessCommand returns how the boot is blessed. After a kexec, that is up to the configuration
// of the system that is on trial.
func (in Input) blessCommand() string {
	if bootcount.ByKexec(in.Root) && updateconfig.KexecProves(func(name string) ([]byte, error) {
		return bounded.ReadFile(in.Root, name, limits.Text)
	}) {
		return bless + " after-kexec"
	}
	return bless
}

// blessUnit returns a whole unit that blesses the boot once it is complete.
func (in Input) blessUnit(name string) unitfile.Unit {
	return unitfile.Unit{Name: name, Links: []string{"basic.target.wants/" + name}, Options: []unitfile.Option{
		unitfile.Set("Unit", "Description", "Mark the Boot Loader Entry That Was Booted as Good"),
		unitfile.Set("Unit", "Documentation", "man:sysupdate-image-generator(8)"),
		unitfile.Set("Unit", "DefaultDependencies", "no"),
		unitfile.Set("Unit", "Requires", "boot-complete.target"),
		unitfile.Set("Unit", "Conflicts", "shutdown.target"),
		unitfile.Set("Unit", "After", "local-fs.target boot-complete.target"),
		unitfile.Set("Unit", "Before", "shutdown.target"),
		unitfile.Set("Service", "Type", "oneshot"),
		unitfile.Set("Service", "RemainAfterExit", "yes"),
		unitfile.Set("Service", "ExecStart", in.blessCommand()),
	}}
}

// keepLoader changes systemd-boot-update.service. An image that has not proved itself must
// not replace the loader that may have to go back from it: a newer one may count otherwise.
// The next boot does so.
func keepLoader(booted deployment.ID) unitfile.Unit {
	return unitfile.Unit{Name: "systemd-boot-update.service.d/50-sysupdate-image.conf", Options: []unitfile.Option{
		unitfile.Set("Unit", "ConditionPathExists", "/"+booted.RunBlessed()),
	}}
}

// countPath is the variable that has systemd bless an entry.
var countPath = bootcount.VariableFile(bootcount.PathVariable)

// leaveUnblessed keeps systemd from blessing the entry of another boot: after a soft reboot, a
// kexec, or where the initramfs has booted another deployment in place of a bad one.
func leaveUnblessed() unitfile.Unit {
	return unitfile.Unit{Name: blessService + ".d/50-sysupdate-image.conf", Options: []unitfile.Option{
		unitfile.Set("Unit", "ConditionPathExists", "!/"+countPath),
	}}
}

// emergency changes emergency.target: isolating it cancels the start of
// boot-complete.target, which is no failure to systemd.
func emergency() unitfile.Unit {
	return unitfile.Unit{Name: "emergency.target.d/50-sysupdate-image.conf", Options: []unitfile.Option{
		unitfile.Set("Unit", "Wants", bootFailedService),
	}}
}

// wantsRescue reports whether somebody asked for a shell on the kernel command
// line: then emergency.target is what was to be reached. See
// kernel-command-line(7).
func (in Input) wantsRescue() bool {
	for _, key := range []string{"emergency", "-b", "rescue", "single", "s", "S", "1"} {
		if _, ok := in.Cmdline.Last(key); ok {
			return true
		}
	}
	unit, _ := in.Cmdline.Last("systemd.unit")
	return slices.Contains([]string{"emergency.target", "rescue.target"}, unit)
}
