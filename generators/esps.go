package generators

import (
	"errors"
	"io/fs"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/unitfile"
)

const espsService = "sysupdate-image-esps.service"

// espUnits has a boot bring further EFI system partitions up to date, if the machine has any.
func espUnits(in Input, _ deployment.ID) ([]unitfile.Unit, error) {
	_, err := fs.Stat(in.sysroot(), deployment.ESPsRecord)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	// What is wrong with the record, the service tells.
	return []unitfile.Unit{staticUnit(espsService, "multi-user.target.wants/"+espsService)}, nil
}
