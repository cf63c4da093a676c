package edit

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/machine"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/records"
)

// Report returns how local changes to /etc were merged when a deployment of a machine took
// over. The deployment is named as for machine.State.Find.
func Report(at machine.Place, name string) (deployment.EtcReport, error) {
	system, err := machine.Open(at, machine.ToRead)
	if err != nil {
		return deployment.EtcReport{}, err
	}
	defer system.Close()
	id, err := system.State().Find(name)
	if err != nil {
		return deployment.EtcReport{}, err
	}
	if system.Sysroot == nil {
		return deployment.EtcReport{}, system.SysrootErr
	}
	report, err := records.LoadEtcReport(system.Sysroot, id)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("no report for deployment %s: its /etc was not merged from another deployment", id.Short())
	}
	return report, err
}
