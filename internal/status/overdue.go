package status

import (
	"fmt"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
)

// whyStaged tells why a deployment is still staged that was so before this boot
// began, "" if it was staged since: what finalize has recorded, or else that it
// has not been finalized.
func (g *gatherer) whyStaged() string {
	if g.Running == nil || g.record.FinalizationLocked || !g.isOlderThanBoot(g.record.BootID) {
		return ""
	}
	overdue := g.overdue()
	since := "in an earlier boot"
	switch {
	case overdue.Boots == 1:
		since = "one boot ago"
	case overdue.Boots > 1:
		since = fmt.Sprintf("%d boots ago", overdue.Boots)
	}
	switch {
	case g.record.Published:
		return fmt.Sprintf("it was staged %s, and published, but another was booted", since)
	case overdue.Error == "":
		return fmt.Sprintf("it was staged %s, and the machine went down without a shutdown", since)
	}
	why := fmt.Sprintf("it was staged %s, and finalize failed: %s", since, overdue.Error)
	if overdue.ErrorBootID != "" {
		why += " (journalctl --boot=" + overdue.ErrorBootID + ")"
	}
	return why
}

// isOlderThanBoot says whether the boot with an id is known not to be this one.
func (g *gatherer) isOlderThanBoot(bootID string) bool {
	data, err := bounded.ReadFile(g.Running, "proc/sys/kernel/random/boot_id", limits.Kernel)
	plain := func(id string) string { return strings.ReplaceAll(strings.TrimSpace(id), "-", "") }
	return err == nil && bootID != "" && plain(bootID) != plain(string(data))
}

// overdue reads what finalize has recorded about the staged deployment.
func (g *gatherer) overdue() deployment.Overdue {
	if g.Sysroot == nil {
		return deployment.Overdue{}
	}
	data, err := bounded.ReadFile(g.Sysroot, deployment.OverdueRecord, limits.Record)
	if err != nil {
		g.problem("why the staged deployment is overdue", err)
		return deployment.Overdue{}
	}
	o, err := deployment.ParseOverdue(data)
	if err != nil {
		g.problem("staged deployment", err)
	}
	if o.ID != g.record.ID {
		return deployment.Overdue{}
	}
	return o
}
