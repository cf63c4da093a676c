package update

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"reflect"
	"runtime"
	"slices"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/machine"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/loader"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/records"
)

// updateLoader replaces the boot loader that was installed with the machine by that of the
// running system, if it is newer. A system that is on trial has to prove itself first: with its
// loader, the machine could not go back to another one.
func (m *Machine) updateLoader(r Reporter) error {
	was, err := records.LoadLoader(m.Sysroot)
	switch {
	case errors.Is(err, fs.ErrNotExist), err == nil && was.Kind == deployment.NoLoader:
		return nil
	case err != nil:
		return fmt.Errorf("the boot loader is not updated: %w", err)
	}
	if proved, err := m.hasProved(); !proved || err != nil {
		return err
	}
	now, err := loader.Find(was.Kind, m.openRunning, runtime.GOARCH)
	if err != nil {
		return fmt.Errorf("the boot loader is not updated: %w", err)
	}
	record, changed, err := now.Update(m.Boot.LoaderPartition(), m.Boot, was)
	if errors.Is(err, loader.ErrOlder) {
		return nil // after a rollback, say
	}
	if err != nil {
		return fmt.Errorf("the boot loader is not updated: %w", err)
	}
	if len(changed) > 0 {
		r.Step(fmt.Sprintf("Updated the boot loader from %s %s to %s", was.Kind, was.Version, now.Version))
	}
	if reflect.DeepEqual(record, was) {
		return nil
	}
	return records.StoreLoader(m.Changes, record)
}

// Proved reports whether the machine no longer needs anything but its deployments to boot: the
// running system has proved itself. On a machine that does not run, the history has to say so of
// the next one: an entry that nobody counts may never have been booted.
func (m *Machine) Proved() (bool, error) {
	if m.Booted != "" {
		return m.hasProved()
	}
	s, err := m.readState()
	if err != nil || !slices.Contains(s.Proven(), s.Current()) {
		return false, err
	}
	history, err := records.LoadHistory(m.Root.FS())
	if found, err := bounded.Found(err); !found {
		return false, err
	}
	blessed := func(e deployment.Event) bool { return e.Kind == deployment.EventBlessed && e.ID == s.Current() }
	return slices.ContainsFunc(history, blessed), nil
}

// hasProved reports whether the running system is a deployment that nobody counts any more,
// with the /usr of its image.
func (m *Machine) hasProved() (bool, error) {
	if m.Booted == "" || m.Boot == nil || machine.UsrLayerOf(m.Mounts) != machine.NoUsrLayer {
		return false, nil
	}
	files, err := m.entries()
	if err != nil {
		return false, err
	}
	isIts := func(f boot.EntryFile) bool { return f.Target.ID == m.Booted && f.Good() }
	return slices.ContainsFunc(files, isIts), nil
}

// openRunning opens a file of the running system.
func (m *Machine) openRunning(path string) (io.ReadCloser, error) { return m.Host.Open(path) }
