package status

import "github.com/sysupdate-image/sysupdate-image/internal/machine/records"

// readProtect notes that fs-verity is still to be enabled.
func (g *gatherer) readProtect() {
	if g.sys.Sysroot == nil {
		return
	}
	asked, err := records.LoadProtect(g.sys.Sysroot)
	g.problem("record of fs-verity", err)
	if asked {
		g.status.Notes = append(g.status.Notes, "fs-verity is not enabled yet: the first boot does that once it has proved itself")
	}
}
