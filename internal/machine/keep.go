package machine

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
)

// Which deployments stay. docs/design.md has the rule and its reasons.

// Proven returns the deployments that the loader boots without counting, in its order.
func (s State) Proven() []deployment.ID { return s.having(boot.EntryFile.Good) }

// Bootable returns the deployments that the loader lists and that are not broken, in its
// order.
func (s State) Bootable() []deployment.ID {
	return s.having(func(f boot.EntryFile) bool { return f.Bootable() && f.IsDeployment() })
}

// having returns the deployments that are not broken and have an entry that is as asked,
// in the loader's order.
func (s State) having(suits func(boot.EntryFile) bool) []deployment.ID {
	var ids idList
	for _, f := range s.Files {
		if suits(f) && !s.Broken[f.Target.ID] {
			ids.add(f.Target.ID)
		}
	}
	return ids
}

// base returns the deployment that was the last to prove itself, which the loader falls
// back to: the booted one, or else the first that is proven.
func (s State) base() deployment.ID {
	proven := s.Proven()
	if len(proven) == 0 || slices.Contains(proven, s.Booted) {
		return s.Booted
	}
	return proven[0]
}

// Superseded returns the deployment that the base has superseded, "" if there is none:
// the first proven one besides the base and what is about to take its place or, without
// one, the first that has tries left.
func (s State) Superseded() deployment.ID {
	besides := []deployment.ID{s.Booted, s.staged(), s.first(), s.Next(), s.base()}
	for _, id := range append(s.Proven(), s.having(hasTries)...) {
		if !slices.Contains(besides, id) {
			return id
		}
	}
	return ""
}

// A Doubt is a boot entry that cannot be used, and the deployment that it is for.
type Doubt struct {
	ID   deployment.ID
	File string
	Err  error
}

// Doubts returns our entries that cannot be used, though their images can, and are newer than
// that of the deployment that was the last to prove itself. That an entry cannot be used
// does not make its deployment superseded: it may be the one with the latest changes to
// /etc, of a machine that is not running.
func (s State) Doubts() (all []Doubt) {
	base, _ := s.firstThat(func(f boot.EntryFile) bool { return f.Target.ID == s.base() && f.Bootable() })
	for _, f := range s.Files {
		usable := f.Err == nil && f.IsDeployment()
		if f.Foreign || f.Staged || usable || f.NamedFor() == "" {
			continue
		}
		if base.NamedFor() != "" && f.Name.Base < base.Name.Base {
			continue
		}
		if id := s.entryFor(f); id != "" && !s.Broken[id] {
			all = append(all, Doubt{id, f.File, cmp.Or(f.Err, errNoDeployment)})
		}
	}
	return all
}

var errNoDeployment = errors.New("it names no deployment")

// entryFor returns the deployment that an entry is for, by what is in it or else by its
// name; "" if that is not known.
func (s State) entryFor(f boot.EntryFile) deployment.ID {
	if f.Target.ID != "" {
		return f.Target.ID
	}
	prefix := f.NamedFor()
	i := slices.IndexFunc(s.Dirs, func(id deployment.ID) bool { return strings.HasPrefix(string(id), prefix) })
	if prefix == "" || i < 0 {
		return ""
	}
	return s.Dirs[i]
}

// Needed returns the deployments that only a command removes: the booted one, the staged
// one, the loader's first and what a setting makes it boot instead, pinned ones, those of
// Doubts, and these two:
//
//   - the base, so that a deployment on trial has something to fall back to;
//   - what the base has superseded. A staged deployment, or one on trial, has superseded
//     nothing yet: if it fails, the machine is as before, with a rollback.
//
// If it returns none, nothing is known to be good, and nothing may be removed.
func (s State) Needed() []deployment.ID {
	var ids idList
	ids.add(s.Booted, s.staged(), s.first(), s.Next(), s.base(), s.Superseded())
	ids.add(slices.Sorted(maps.Keys(s.Pins))...)
	for _, d := range s.Doubts() {
		ids.add(d.ID)
	}
	return ids
}

// Kept returns the deployments that stay as long as there is room: the needed ones, as
// many others as spare says, in the loader's order, the one that failed last unless
// another was staged since, so that status can tell why it failed, and those of Lost:
// their local changes to /etc may be wanted although the boot entry was removed.
func (s State) Kept(spare int) []deployment.ID {
	ids := idList(s.Needed())
	if len(ids) == 0 {
		return nil
	}
	ids.add(s.lastFailed())
	ids.add(s.Lost...)
	for _, id := range s.having(hasTries) {
		if spare > 0 && !slices.Contains(ids, id) {
			ids.add(id)
			spare--
		}
	}
	return ids
}

// lastFailed returns the deployment that used up its tries last, "" if there is none or
// another is staged.
func (s State) lastFailed() deployment.ID {
	failed := s.having(func(f boot.EntryFile) bool { return f.Bootable() && f.IsDeployment() && f.Name.Exhausted() })
	if s.Staged != nil || len(failed) == 0 {
		return ""
	}
	return failed[0]
}

// MakeRoom returns the deployments with a boot entry that are not needed, in the order
// in which they are given up for room on the boot partition: those that Prune would
// remove, then the spare ones, of each the last in the loader's order first.
func (s State) MakeRoom(spare int) []deployment.ID {
	needed, kept := s.Needed(), s.Kept(spare)
	var gone, spares idList
	for _, f := range slices.Backward(s.Files) {
		switch id := f.Target.ID; {
		case len(needed) == 0 || slices.Contains(needed, id):
		case slices.Contains(kept, id):
			spares.add(id)
		default:
			gone.add(id)
		}
	}
	gone.add(spares...)
	return gone
}

// A Hold is why a deployment cannot be removed.
type Hold string

// The reasons, the strongest first.
const (
	NotHeld    Hold = ""
	HeldBooted Hold = "it is booted"
	HeldStaged Hold = "it is staged"
	HeldNext   Hold = "it boots next"
	HeldPinned Hold = "it is pinned"
	HeldAlone  Hold = "no other deployment could be booted"
)

// Held returns why the deployment cannot be removed, NotHeld if it can.
func (s State) Held(id deployment.ID) Hold {
	_, pinned := s.Pins[id]
	switch {
	case id == s.Booted:
		return HeldBooted
	case id == s.staged():
		return HeldStaged
	case id == s.first() || id == s.Next():
		return HeldNext
	case pinned:
		return HeldPinned
	}
	return NotHeld
}

// A HeldError says that a deployment cannot be removed.
type HeldError struct {
	ID      deployment.ID
	Hold    Hold
	PinName string // if it is pinned with a name
}

func (e *HeldError) Error() string {
	text := fmt.Sprintf("cannot remove deployment %s: %s", e.ID.Short(), e.Hold)
	if e.PinName != "" {
		text += fmt.Sprintf(" as %q", e.PinName)
	}
	return text
}

// CheckRemove returns a *HeldError if one of the deployments cannot be removed, or if
// nothing could be booted without them.
func (s State) CheckRemove(gone []deployment.ID) error {
	for _, id := range gone {
		switch hold := s.Held(id); hold {
		case NotHeld:
		case HeldPinned:
			return &HeldError{ID: id, Hold: hold, PinName: s.Pins[id]}
		default:
			return &HeldError{ID: id, Hold: hold}
		}
	}
	stays := func(id deployment.ID) bool { return !slices.Contains(gone, id) }
	if !slices.ContainsFunc(s.Bootable(), stays) {
		return &HeldError{ID: gone[0], Hold: HeldAlone}
	}
	return nil
}
