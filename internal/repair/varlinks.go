package repair

import (
	"os"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/repo"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
	"github.com/sysupdate-image/sysupdate-image/internal/update"
)

// varLinks finds links to /var by which bootc's initramfs does not find it. They
// are beside the repository, and a machine with one of them does not boot.
func (r *run) varLinks(physical *os.Root) error {
	if physical == nil {
		return nil
	}
	wrong, err := update.WrongVarLinks(physical)
	if err != nil {
		return err
	}
	for _, id := range wrong {
		f := Finding{Problem: repo.Problem{
			Flaw: repo.WrongLink, Path: id.Var(), Detail: "want " + deployment.VarTarget + ", as bootc's initramfs needs it",
		}}
		if r.repair {
			f.settle(update.CorrectVarLink(durable.OS(physical), id))
		}
		r.report.Findings = append(r.report.Findings, f)
	}
	return nil
}
