package generators

import (
	"errors"
	"io/fs"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/unitfile"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/records"
)

const fellBackService = "sysupdate-image-fell-back.service"

// fellBackUnits returns the service that records why another deployment has failed, where the
// booted one was booted in its place, and makes the booted one the next.
func fellBackUnits(in Input, booted deployment.ID) ([]unitfile.Unit, error) {
	all, _, err := records.LoadAllAttempts(in.sysroot())
	if err != nil {
		return nil, err
	}
	for _, a := range all {
		if !a.Spent() || a.Fallback != booted {
			continue
		}
		_, err := fs.Stat(in.sysroot(), a.ID.BootFailureFile())
		named, _ := deployment.FromCmdline(in.Cmdline)
		if named.ID == booted && !errors.Is(err, fs.ErrNotExist) && a.AttemptsCount == a.Settled() {
			continue // that was done, and the loader knows
		}
		return []unitfile.Unit{fellBackUnit()}, nil
	}
	return nil, nil
}

func fellBackUnit() unitfile.Unit {
	return unitfile.Unit{Name: fellBackService, Links: []string{"multi-user.target.wants/" + fellBackService}, Options: []unitfile.Option{
		unitfile.Set("Unit", "Description", "Record Why Another Deployment Failed, and Stay with This One"),
		unitfile.Set("Unit", "Documentation", "man:sysupdate-image-generator(8)"),
		unitfile.Set("Unit", "RequiresMountsFor", deployment.SysrootDir),
		unitfile.Set("Service", "Type", "oneshot"),
		unitfile.Set("Service", "RemainAfterExit", "yes"),
		unitfile.Set("Service", "ExecStart", "/usr/lib/sysupdate-image/health fell-back"),
	}}
}

// sysroot returns the physical root.
func (in Input) sysroot() fs.FS {
	return bounded.Sub(in.Root, strings.TrimPrefix(deployment.SysrootDir, "/"))
}
