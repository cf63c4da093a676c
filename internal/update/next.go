package update

import (
	"errors"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
)

// clearDiversions has the next reboot lead to what is about to be made the next to boot.
func (m *Machine) clearDiversions() {
	if err := m.ClearDiversions(); err != nil {
		m.warn(err)
	}
}

// checkNext warns if a setting of the boot loader has it boot something else than the
// deployment that was made the next. Such a setting is the administrator's.
func (m *Machine) checkNext(id deployment.ID) {
	if c := m.State().Choice(); c.By != "" && c.Entry.Target.ID != id {
		m.warn(errors.New(c.String()))
	}
}
