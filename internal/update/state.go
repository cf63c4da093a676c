package update

import (
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/machine"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
)

// readState reads what is known of the machine. The error says that part of it cannot be
// read without which nothing may be decided.
func (m *Machine) readState() (machine.State, error) {
	system := machine.System{Running: m.running, Booted: m.booted, Sysroot: m.root.FS(), Repository: m.repo, Boot: m.boot}
	s := system.State()
	if s.StagedErr != nil {
		m.warnStaged(s.StagedErr)
	}
	return s, s.Err()
}

// warnStaged tells, once, that the staged record does not count.
func (m *Machine) warnStaged(err error) {
	if !m.warned {
		m.warned = true
		m.warn(err.Error() + "; nothing counts as staged")
	}
}

// current returns the deployment that an update follows, as State.Current.
func (m *Machine) current() (deployment.ID, error) {
	s, err := m.readState()
	return s.Current(), err
}

// next returns the entry of the deployment that is first in the loader's order, the zero
// one if there is none.
func (m *Machine) next() (boot.EntryFile, error) {
	s, err := m.readState()
	first, _ := s.First()
	return first, err
}
