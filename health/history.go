package health

import (
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/journal"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/records"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/sysroot"
)

// remember adds an event to the history, with the versions of its deployments. What went wrong
// is recorded elsewhere: an error here is only told.
func (m Machine) remember(s *sysroot.Writable, e deployment.Event) {
	for id, version := range map[deployment.ID]*string{e.ID: &e.Version, e.From: &e.FromVersion} {
		if id == "" {
			continue
		}
		if o, err := records.LoadOrigin(s.FS(), id); err == nil {
			*version = o.Version
		}
	}
	if err := records.AddEvent(s.Root, m.changes(s.Root), e); err != nil {
		m.logf(journal.Warning, "%v", err)
	}
}
