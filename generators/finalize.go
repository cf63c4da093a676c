package generators

import (
	"fmt"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/unitfile"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/records"
)

const finalizeService = "sysupdate-image-finalize.service"

// finalizeUnits enables finalize if a deployment was staged and the machine went
// down before it became the next one, by a power cut or a forced reset; or if it
// did, and only the record was left behind, which finalize then drops.
func finalizeUnits(in Input, _ deployment.ID) ([]unitfile.Unit, error) {
	sysroot := bounded.Sub(in.Root, strings.TrimPrefix(deployment.SysrootDir, "/"))
	staged, err := records.IfAny(records.LoadStaged(sysroot))
	if err != nil {
		return nil, fmt.Errorf("cannot tell whether a deployment is staged: %w", err)
	}
	if staged == nil {
		return nil, nil
	}
	// The unit is ordered before basic.target, and that target waits for what it
	// wants: the unit is up before anything runs that could ask for a reboot.
	return []unitfile.Unit{staticUnit(finalizeService, "basic.target.wants/"+finalizeService)}, nil
}
