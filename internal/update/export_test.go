package update

import (
	"io/fs"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
)

// RunAs makes m a machine that runs a deployment with the root running, as far as
// Apply is told.
func (m *Machine) RunAs(id deployment.ID, running fs.FS) { m.booted, m.running = id, running }
