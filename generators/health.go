package generators

import (
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/unitfile"
)

// healthUnits has each boot run its checks. On a boot that is not on trial nothing starts
// boot-complete.target, and a check that fails costs a failed unit, and no reboot.
func healthUnits(Input, deployment.ID) ([]unitfile.Unit, error) {
	const check = deployment.HealthCheckService
	return []unitfile.Unit{staticUnit(check, "basic.target.wants/"+check, "boot-complete.target.requires/"+check)}, nil
}
