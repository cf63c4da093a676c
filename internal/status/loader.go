package status

import (
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/printable"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/records"
)

// readLoader tells which boot loader was installed, where none has announced itself.
func (g *gatherer) readLoader() {
	if g.sys.Sysroot == nil {
		return
	}
	record, err := records.LoadLoader(g.sys.Sysroot)
	g.problem("record of the boot loader", err)
	if g.status.Loader == "" {
		g.status.Loader = printable.Title(strings.TrimSpace(record.Kind + " " + record.Version))
	}
}

// readVarPartition tells which partition /var is on.
func (g *gatherer) readVarPartition() {
	if g.sys.Sysroot == nil {
		return
	}
	v, err := records.LoadVarPartition(g.sys.Sysroot)
	if g.problem("record of the partition of /var", err); err == nil {
		g.status.VarPartition = v.String()
	}
}

// bootcsLoader returns what bootc calls the loader. One that is not known is systemd-boot.
func (s Status) bootcsLoader() string {
	switch kind, _, _ := strings.Cut(s.Loader, " "); strings.ToLower(kind) {
	case deployment.GRUB:
		return "grub"
	case deployment.NoLoader:
		return "none"
	}
	return "systemd"
}
