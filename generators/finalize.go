package generators

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/format/unitfile"
)

const finalizeService = "sysupdate-image-finalize.service"

// finalizeUnits enables finalize if a deployment was staged and the machine went
// down before it became the next one, by a power cut or a forced reset; or if it
// did, and only the record was left behind, which finalize then drops.
func finalizeUnits(in Input, _ deployment.ID) ([]unitfile.Unit, error) {
	name := strings.TrimPrefix(deployment.SysrootDir, "/") + "/" + deployment.StagedRecord
	data, err := bounded.ReadFile(in.Root, name, limits.Record)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot tell whether a deployment is staged: %w", err)
	}
	if _, err := deployment.ParseStaged(data); err != nil {
		return nil, fmt.Errorf("cannot tell whether a deployment is staged: %s: %w", name, err)
	}
	// The unit is ordered before basic.target, and that target waits for what it
	// wants: the unit is up before anything runs that could ask for a reboot.
	return []unitfile.Unit{staticUnit(finalizeService, "basic.target.wants/"+finalizeService)}, nil
}
