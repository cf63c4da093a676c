package update

import (
	"slices"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/image/oci"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
)

// A pending says what a reboot of the running machine would leave the booted
// deployment for.
type pending struct {
	staged   deployment.ID // "" if nothing is staged
	rollback deployment.ID // what a rollback has made the next, "" if none has
}

// pending returns nothing for a machine that does not run. That the loader prefers
// another one to a booted deployment that has used up its boots is no rollback.
func (m *Machine) pending() (p pending, err error) {
	record, err := m.staged()
	if err != nil || m.booted == "" {
		return p, err
	}
	if record != nil && record.ID != m.booted {
		p.staged = record.ID
	}
	s, err := m.readState()
	if err != nil {
		return p, err
	}
	next, _ := s.First()
	preferable := func(f boot.EntryFile) bool { return f.Target.ID == m.booted && f.Bootable() && !f.Name.Exhausted() }
	if next.Target.ID != m.booted && next.Target.ID != p.staged && slices.ContainsFunc(s.Files, preferable) {
		p.rollback = next.Target.ID
	}
	return p, nil
}

// isLeft returns the booted deployment and its origin if img made it and a queued
// rollback, which result is told, is to leave it, else "".
func (m *Machine) isLeft(img *oci.Image, result *Result) (deployment.ID, deployment.Origin, error) {
	p, err := m.pending()
	if err != nil || p.rollback == "" || p.staged != "" {
		return "", deployment.Origin{}, err
	}
	id, o, err := m.madeOf(m.booted, img)
	if id != "" {
		result.QueuedRollback = p.rollback
	}
	return id, o, err
}
