package machine

import (
	"errors"
	"fmt"
	"slices"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bootentry"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
)

// First returns the entry of the deployment that comes first in the loader's order. An
// entry of another operating system before it is not considered. ok is false if the
// loader lists no deployment.
func (s State) First() (first boot.EntryFile, ok bool) {
	return s.firstThat(func(f boot.EntryFile) bool { return f.Bootable() && f.IsDeployment() })
}

func (s State) firstThat(is func(boot.EntryFile) bool) (boot.EntryFile, bool) {
	i := slices.IndexFunc(s.Files, is)
	if i < 0 {
		return boot.EntryFile{}, false
	}
	return s.Files[i], true
}

// first returns the deployment of First, "" if there is none.
func (s State) first() deployment.ID {
	f, _ := s.First()
	return f.Target.ID
}

// OnLastTry reports whether an entry is that of the booted deployment, on trial with no
// tries left: whether this boot fails is not known yet. A boot that failed is recorded.
func (s State) OnLastTry(f boot.EntryFile) bool {
	if f.Target.ID == "" || f.Target.ID != s.Booted || !f.Bootable() || !f.Name.Exhausted() {
		return false
	}
	failed, err := bootentry.ParseName(s.Failures[s.Booted].Entry)
	return err != nil || failed.Base != f.Name.Base || !failed.Exhausted()
}

// BootedOnLastTry reports whether an entry of the booted deployment is OnLastTry, and no
// other entry of it is good or has tries left.
func (s State) BootedOnLastTry() bool {
	last := false
	for _, f := range s.Files {
		if f.Target.ID == s.Booted && f.Bootable() && !f.Name.Exhausted() {
			return false
		}
		last = last || s.OnLastTry(f)
	}
	return last
}

// CannotReturn reports whether no loader can boot the booted deployment again: its kernel
// or its entry is gone from the boot partition.
func (s State) CannotReturn() bool {
	if s.Booted == "" || !s.HasBoot {
		return false
	}
	_, ok := s.firstThat(func(f boot.EntryFile) bool { return f.Target.ID == s.Booted && f.Bootable() })
	return !ok
}

// Choice returns what the loader boots next, once what is staged and not locked is published.
func (s State) Choice() boot.Choice {
	files := s.Files
	if s.Staged != nil && !s.Staged.FinalizationLocked {
		files = boot.AfterPublishing(files, s.Staged.Entry)
	}
	return s.Loader.Choose(files)
}

// Next returns the deployment that boots next: what a setting of the loader makes it boot, or
// the staged one unless it is locked, or else the loader's first; "" if there is none.
func (s State) Next() deployment.ID {
	if c := s.Choice(); c.By != "" && c.Entry.IsDeployment() {
		return c.Entry.Target.ID
	}
	if s.Staged != nil && !s.Staged.FinalizationLocked {
		return s.Staged.ID
	}
	return s.first()
}

// Current returns the deployment that an update follows: the booted one, or that which
// the loader boots first on a machine that is not running; "" if there is none.
func (s State) Current() deployment.ID {
	if s.Booted != "" {
		return s.Booted
	}
	return s.first()
}

// RollbackQueued reports whether the loader's first deployment is not the booted one
// though nothing is staged that would come before it.
func (s State) RollbackQueued() bool {
	next := s.first()
	return s.Booted != "" && next != "" && next != s.Booted && (s.Staged == nil || s.Staged.FinalizationLocked)
}

// Rollback returns the deployment to go back to from the current one, or that a queued
// rollback goes back to: the first other one that is good, or else the first that has
// tries left; "" if there is none.
//
// A queued rollback to a deployment on trial looks like an update that was published and not
// booted yet, and is as uncertain: with another one that is good, Rollback returns that.
func (s State) Rollback() deployment.ID {
	for _, suits := range []func(boot.EntryFile) bool{boot.EntryFile.Good, hasTries} {
		for _, id := range s.having(suits) {
			if id != s.Current() {
				return id
			}
		}
	}
	return ""
}

// hasTries reports whether the loader boots the deployment of an entry if it comes to it.
func hasTries(f boot.EntryFile) bool { return f.Bootable() && f.IsDeployment() && !f.Name.Exhausted() }

// ErrNoRollback reports that no other deployment to roll back to.
var ErrNoRollback = errors.New("no other deployment to roll back to")

// RollbackTarget returns the entry that a rollback without a name makes the next: the
// booted deployment's if another comes first in the loader's order, which takes a
// queued rollback back, or else that of Rollback. The error is ErrNoRollback.
func (s State) RollbackTarget() (boot.EntryFile, error) {
	next := s.first()
	want := s.Rollback()
	suits := func(f boot.EntryFile) bool { return hasTries(f) && f.Target.ID == want }
	if s.Booted != "" && s.Booted != next {
		// It runs: that it has used up its tries does not matter.
		suits = func(f boot.EntryFile) bool { return f.Bootable() && f.Target.ID == s.Booted }
	}
	target, ok := s.firstThat(suits)
	if !ok || next == "" {
		return boot.EntryFile{}, ErrNoRollback
	}
	return target, nil
}

// Find returns the deployment that name stands for: its role (booted, staged, next or
// rollback), the name of its pin, or how its id begins. Without a name it is the booted
// one, or the next on a machine that is not running.
func (s State) Find(name string) (deployment.ID, error) {
	var id deployment.ID
	switch name {
	case "":
		if id, name = s.Booted, deployment.WordBooted; !s.Running {
			id, name = s.Next(), deployment.WordNext
		}
	case deployment.WordBooted:
		id = s.Booted
	case deployment.WordStaged:
		id = s.staged()
	case deployment.WordNext:
		id = s.Next()
	case deployment.WordRollback:
		id = s.Rollback()
	default:
		return deployment.Match(name, s.Known(), s.Pins)
	}
	if id == "" {
		return "", fmt.Errorf("no deployment is %s", name)
	}
	return id, nil
}
