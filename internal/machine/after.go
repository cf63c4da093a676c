package machine

import (
	"slices"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bootentry"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
)

// The states after a change, for plans. They have the same roles and needs as the real
// ones, but their entries have no names.

// AfterUnstaging returns the state without what is staged.
func (s State) AfterUnstaging() State {
	s.Staged = nil
	s.Files = slices.DeleteFunc(slices.Clone(s.Files), func(f boot.EntryFile) bool { return f.Staged })
	return s
}

// AfterStaging returns the state with a deployment staged.
func (s State) AfterStaging(id deployment.ID) State {
	s = s.AfterUnstaging()
	s.Staged = &deployment.Staged{ID: id}
	return s
}

// AfterPublishing returns the state with a new entry for a deployment as the loader's
// first. It is on trial if there is another to fall back to, and then so is an entry that the
// deployment has already: the initramfs counts the boots of both.
func (s State) AfterPublishing(id deployment.ID) State {
	s = s.AfterUnstaging()
	fallback := slices.ContainsFunc(s.Proven(), func(proven deployment.ID) bool { return proven != id })
	for i := range s.Files { // which AfterUnstaging has cloned
		if f := &s.Files[i]; fallback && f.Target.ID == id && f.Bootable() {
			f.Name.Counted, f.Name.TriesLeft = true, 1
		}
	}
	return s.withFirst(boot.EntryFile{
		Target: deployment.Target{ID: id}, Name: bootentry.Name{Counted: fallback, TriesLeft: 1},
	})
}

// AfterRollback returns the state with the entry that a deployment has as the loader's
// first.
func (s State) AfterRollback(id deployment.ID) State {
	s = s.AfterUnstaging()
	entry, ok := s.firstThat(func(f boot.EntryFile) bool { return f.Target.ID == id && f.Bootable() })
	if !ok {
		return s
	}
	return s.withFirst(entry)
}

func (s State) withFirst(f boot.EntryFile) State {
	s.Files = append([]boot.EntryFile{f}, s.Files...)
	return s
}
