package status

import (
	"github.com/sysupdate-image/sysupdate-image/internal/format/printable"
	"github.com/sysupdate-image/sysupdate-image/internal/machine"
)

// readReset tells of a reset that waits to be confirmed.
func (g *gatherer) readReset() {
	if g.sys.Sysroot == nil {
		return
	}
	reset, err := machine.ResetOf(g.sys.Sysroot)
	g.problem("record of a reset", err)
	switch reset.Reset {
	case machine.ResetFresh:
		g.status.Notes = append(g.status.Notes, "since "+printable.Title(reset.Since)+" the machine has a fresh state; the one before it is kept")
	case machine.ResetUndone:
		g.status.Notes = append(g.status.Notes, "a reset was undone; the fresh state is kept")
	}
}
