package update

import (
	"fmt"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bootentry"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/machine"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
)

// readState reads what is known of the machine. The error says that part of it cannot be
// read without which nothing may be decided.
func (m *Machine) readState() (machine.State, error) {
	s := m.State()
	if s.StagedErr != nil {
		m.warnStaged(s.StagedErr)
	}
	return s, s.Err()
}

// warnStaged tells, once, that the staged record does not count.
func (m *Machine) warnStaged(err error) {
	if !m.warned {
		m.warned = true
		m.warn(fmt.Errorf("%w; nothing counts as staged", err))
	}
}

// current returns the deployment that an update follows, as State.Current. Where no entry
// of a machine that is not running can be booted it is that of the newest one: its kernel
// arguments and its /etc are the machine's all the same.
func (m *Machine) current() (deployment.ID, error) {
	s, err := m.readState()
	if current := s.Current(); current != "" || err != nil {
		return current, err
	}
	broken, ok := newestBroken(s.Files)
	if ok && !m.toldBroken {
		m.toldBroken = true
		m.warn(fmt.Errorf("no boot entry of this machine can be booted; following deployment %s, with its kernel arguments and /etc, although of boot entry %s: %v",
			broken.Target.ID.Short(), broken.File, broken.Err))
	}
	return broken.Target.ID, nil
}

// newestBroken returns the entry that was published last of those for deployments that
// no loader can boot.
func newestBroken(files []boot.EntryFile) (newest boot.EntryFile, ok bool) {
	for _, f := range files {
		if f.IsDeployment() && !f.Staged && (!ok || bootentry.CompareVersions(f.Name.Base, newest.Name.Base) > 0) {
			newest, ok = f, true
		}
	}
	return newest, ok
}

// next returns the entry of the deployment that is first in the loader's order, the zero
// one if there is none.
func (m *Machine) next() (boot.EntryFile, error) {
	s, err := m.readState()
	first, _ := s.First()
	return first, err
}
