package status

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/printable"
	"github.com/sysupdate-image/sysupdate-image/internal/machine"
)

// LoginFile is where pam_motd(8) finds what everybody is told at login, relative to the root
// of the running system.
const LoginFile = "run/motd.d/sysupdate-image"

// LoginLine returns what everybody is told at login: that the machine went back from a
// deployment, as long as that one is there. It is a line, or "". Without what programs have
// written, which is for root alone.
func LoginLine(system *machine.System) string {
	s, state := Gather(system), system.State()
	for _, d := range s.Deployments {
		if d.State != Failed || d.Booted {
			continue
		}
		failure := state.Failures[d.ID]
		failure.Checks = slices.Clone(failure.Checks)
		for i := range failure.Checks {
			failure.Checks[i].Output = ""
		}
		why := cmp.Or(failure.Why(), state.WhySilent(d.ID), noReason)
		text := fmt.Sprintf("The update to %s failed to boot %s and was undone: %s. See sysupdate-image status --failed.",
			d.name(), times(d.TriesDone), why)
		return printable.Text(strings.Join(strings.Fields(text), " ")) + "\n"
	}
	return ""
}
