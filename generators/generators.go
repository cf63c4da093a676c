// Package generators decides which units a machine gets, depending on what was booted. Each
// file has one concern, a function from the facts to units. The package hides
// systemd.generator(7), and where the facts come from.
package generators

import (
	"errors"
	"io/fs"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/kcmdline"
	"github.com/sysupdate-image/sysupdate-image/internal/format/mountplan"
	"github.com/sysupdate-image/sysupdate-image/internal/format/unitfile"
)

// Input is what is known early in boot. All of it is only read.
type Input struct {
	Root     fs.FS // the root of the running system
	InInitrd bool
	Cmdline  kcmdline.Cmdline
	Mounts   []mountplan.Mounted
	// Warn is told what is wrong with a configuration file, which costs no units.
	Warn func(error)
}

// Units returns the units of all concerns. What one of them cannot decide does
// not keep the others from their units: the error tells of all that went wrong,
// and the units are still good.
//
// There are none in an initramfs, nor where no deployment was booted.
func Units(in Input) ([]unitfile.Unit, error) {
	booted, ok := in.booted()
	if !ok || in.InInitrd {
		return nil, nil
	}
	var all []unitfile.Unit
	var errs []error
	for _, concern := range []func(Input, deployment.ID) ([]unitfile.Unit, error){
		finalizeUnits, mountUnits, varUnits, fstabUnits, healthUnits, assessmentUnits, fellBackUnits, protectUnits, espUnits,
	} {
		units, err := concern(in, booted)
		all, errs = append(all, units...), append(errs, err)
	}
	return all, errors.Join(errs...)
}

// booted returns the deployment whose root is mounted at /. The kernel command
// line does not tell: after a soft reboot it is that of another one.
func (in Input) booted() (deployment.ID, bool) {
	root, ok := mountplan.At(in.Mounts, "/")
	if !ok {
		return "", false
	}
	return deployment.FromMountSource(root.What)
}

// staticUnit returns the links that enable a unit which is installed.
func staticUnit(name string, links ...string) unitfile.Unit {
	return unitfile.Unit{Name: name, Target: unitDir + "/" + name, Links: links}
}

// unitDir is where the units of the project are installed.
const unitDir = "/usr/lib/systemd/system"
