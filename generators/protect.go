package generators

import (
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/unitfile"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/records"
)

// protectUnits has a new machine enable fs-verity, if its installer could not.
func protectUnits(in Input, _ deployment.ID) ([]unitfile.Unit, error) {
	asked, err := records.LoadProtect(in.sysroot())
	if !asked || err != nil {
		return nil, err
	}
	return []unitfile.Unit{staticUnit(deployment.ProtectService, "multi-user.target.wants/"+deployment.ProtectService)}, nil
}
