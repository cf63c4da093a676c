package update

import (
	"fmt"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bootentry"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/attempts"
)

// arm has the initramfs count the boots of a deployment that is about to become the next, on
// trial or not. counted says that its boot entry has tries.
func (m *Machine) arm(id deployment.ID, trial, counted bool) error {
	files, err := m.entries()
	if err != nil {
		return err
	}
	c := attempts.Case{ID: id, Booted: m.Booted, Files: files, Trial: trial, Counted: counted && m.Boot.Counts()}
	if err := m.attempts().Arm(c); err != nil {
		return fmt.Errorf("cannot set up boot counting for deployment %s: %w", id.Short(), err)
	}
	return nil
}

// publishOnly drops what was staged before, and publishes the staged entry of a deployment.
func (m *Machine) publishOnly(id deployment.ID, entry string) error {
	if _, err := m.unstageFor(entry); err != nil {
		return err
	}
	if err := m.Boot.KeepStaged(entry); err != nil { // without a record, a crash may have left some
		return err
	}
	return m.publishEntry(id, entry)
}

// publishEntry publishes the staged entry of a deployment, whose boots are counted from then
// on.
func (m *Machine) publishEntry(id deployment.ID, entry string) error {
	name, err := bootentry.ParseName(entry)
	if err != nil {
		return err
	}
	if err := m.arm(id, true, name.Counted); err != nil {
		return err
	}
	return m.Boot.Publish(entry)
}

// forgetFallbacks sees to it that no deployment that stays has one to fall back to that goes.
func (m *Machine) forgetFallbacks(gone []deployment.ID) error {
	if len(gone) == 0 {
		return nil
	}
	files, err := m.entries()
	if err != nil {
		return err
	}
	return m.attempts().Forget(m.Booted, files, gone)
}

func (m *Machine) attempts() attempts.Root { return attempts.Root{FS: m.Sysroot, Changes: m.Changes} }
