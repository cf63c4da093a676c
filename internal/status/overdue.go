package status

import (
	"cmp"
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
	if g.sys.Running == nil || g.m.Staged.FinalizationLocked || !g.isOlderThanBoot(g.m.Staged.BootID) {
		return ""
	}
	overdue := cmp.Or(g.m.Overdue, &deployment.Overdue{})
	since := "in an earlier boot"
	switch {
	case overdue.Boots == 1:
		since = "one boot ago"
	case overdue.Boots > 1:
		since = fmt.Sprintf("%d boots ago", overdue.Boots)
	}
	switch {
	case g.m.Staged.Published:
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

// isOlderThanBoot reports whether the boot with an id is known not to be this one.
func (g *gatherer) isOlderThanBoot(bootID string) bool {
	data, err := bounded.ReadFile(g.sys.Running, "proc/sys/kernel/random/boot_id", limits.Kernel)
	plain := func(id string) string { return strings.ReplaceAll(strings.TrimSpace(id), "-", "") }
	return err == nil && bootID != "" && plain(bootID) != plain(string(data))
}
