package generators

import (
	"errors"
	"io/fs"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/unitfile"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/records"
)

const motdService = "sysupdate-image-motd.service"

// healthUnits has each boot run its checks, and tell at login of an update that did not boot.
// On a boot that is not on trial nothing starts boot-complete.target, and a check that fails
// costs a failed unit, and no reboot.
func healthUnits(in Input, booted deployment.ID) ([]unitfile.Unit, error) {
	const check = deployment.HealthCheckService
	units := []unitfile.Unit{staticUnit(check, "basic.target.wants/"+check, "boot-complete.target.requires/"+check)}
	if in.mayHaveFailed(booted) {
		units = append(units, staticUnit(motdService, "multi-user.target.wants/"+motdService))
	}
	return units, nil
}

// mayHaveFailed reports whether another deployment has failed to boot, or may have: one that
// is on trial has perhaps been given up by the boot loader. What cannot be read may tell of one.
func (in Input) mayHaveFailed(booted deployment.ID) bool {
	list, err := fs.ReadDir(in.sysroot(), deployment.BootFailuresDir)
	if len(list) > 0 || err != nil && !errors.Is(err, fs.ErrNotExist) {
		return true
	}
	all, broken, err := records.LoadAllAttempts(in.sysroot())
	for id, a := range all {
		if a.Trial && id != booted {
			return true
		}
	}
	return len(broken) > 0 || err != nil
}
