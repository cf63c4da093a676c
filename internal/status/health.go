package status

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/machine"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/records"
)

// noReason is what is known of a boot that had no time to write anything.
const noReason = "no reason was recorded"

// whyFailed tells why a boot on trial was not found good: it did not reach
// boot-complete.target, or could not be blessed.
func (g *gatherer) whyFailed(d *Deployment) string {
	const unknown = noReason + " (journalctl --list-boots)"
	failure, ok := g.m.Failures[d.ID]
	switch {
	case !ok && g.isSecret(d.ID):
		return "only root can read the reason"
	case !ok:
		return cmp.Or(g.m.WhySilent(d.ID), unknown)
	}
	why := cmp.Or(failure.Why(), g.m.WhySilent(d.ID), unknown)
	journal, err := records.LoadBootJournal(g.sys.Sysroot, d.ID)
	switch {
	case err == nil && journal.BootID == failure.BootID:
		why += " (sysupdate-image status --failed)"
	case failure.BootID != "":
		why += " (journalctl --boot=" + failure.BootID + ")"
	}
	return why
}

// isSecret reports whether there is a record of a failed boot that this user may not read.
func (g *gatherer) isSecret(id deployment.ID) bool {
	for _, p := range g.m.Problems {
		if p.What == machine.BootFailureOf(id) && errors.Is(p.Err, fs.ErrPermission) {
			return true
		}
	}
	return false
}

// whyTrying tells what keeps the boot that is running from being blessed, "" if
// nothing does yet.
func (g *gatherer) whyTrying(d *Deployment) string {
	failure, ok := g.m.Failures[d.ID]
	if !ok || g.isOlderThanBoot(failure.BootID) {
		return ""
	}
	return failure.Why()
}

// readHealth fills in what the checks of this boot have found. On a boot that is on trial the
// record of its failure tells.
func (g *gatherer) readHealth() {
	d := g.byID[g.m.Booted]
	if d == nil || g.sys.Running == nil {
		return
	}
	h, err := records.LoadHealth(g.sys.Running)
	g.problem("checks of this boot", err)
	if err != nil || h.ID != g.m.Booted || g.isOlderThanBoot(h.BootID) {
		return
	}
	var failed []string
	for _, c := range h.Failed {
		failed = append(failed, c.String())
	}
	if len(failed) > 0 && d.State == Good && d.Why == "" {
		d.Why = strings.Join(failed, "; ")
	}
	for _, c := range h.Warned {
		g.status.Notes = append(g.status.Notes, fmt.Sprintf("%s; it is not required", c))
	}
}
