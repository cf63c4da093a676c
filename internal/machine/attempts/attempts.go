// Package attempts is our own counter of boots, for every loader that has none, or whose does
// not work. Each deployment with another one to fall back to has a record, which whatever
// publishes its boot entry arms first. The initramfs counts it down and, once it is spent,
// boots the fallback. The package decides what a record says, and what a spent one means.
package attempts

import (
	"errors"
	"io/fs"
	"maps"
	"slices"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bootentry"
	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/records"
)

// A Root is the physical root, to read and to change.
type Root struct {
	FS      fs.FS
	Changes durable.FS
}

// A Case is what is known of a deployment that gets a record.
type Case struct {
	ID      deployment.ID
	Booted  deployment.ID    // "" on a machine that is not running
	Files   []boot.EntryFile // all boot entries
	Trial   bool             // it has to prove itself
	Counted bool             // its entry has tries, or gets them
}

// Arm gives a deployment a new record, before it is published or once it has proved itself.
// Without another good one to fall back to, it gets none. Why an earlier trial of it failed
// is forgotten: it would pass for the reason of this one.
func (r Root) Arm(c Case) error {
	a, err := r.armed(c)
	if err != nil {
		return err
	}
	if c.Trial {
		if err := r.forgetFailure(c.ID); err != nil {
			return err
		}
	}
	if a.Fallback == "" {
		return r.drop(c.ID)
	}
	return records.StoreAttempts(r.Changes, a)
}

// armed returns the record for a case.
func (r Root) armed(c Case) (deployment.Attempts, error) {
	fallback, err := r.fallback(c)
	if err != nil || fallback.Target.ID == "" {
		return deployment.Attempts{}, err
	}
	a := deployment.Attempts{
		ID: c.ID, Counted: c.Counted, Kernel: r.kernel(c.ID),
		Fallback: fallback.Target.ID, FallbackEntry: fallback.Name.ID(), FallbackKernel: r.kernel(fallback.Target.ID),
		FallbackOptions: fallback.Entry.Options,
	}
	if c.Trial {
		a.AttemptsCount = deployment.AttemptsCount{Trial: true, Left: boot.TriesOfNew}
	}
	return a, nil
}

// forgetFailure removes what is recorded of a failed boot, if anything is.
func (r Root) forgetFailure(id deployment.ID) error {
	if _, err := r.Changes.Lstat(id.BootFailureFile()); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return records.DropBootFailure(r.Changes, id)
}

// drop removes a record, if there is one: most often there is none, and no sync is needed.
func (r Root) drop(id deployment.ID) error {
	if _, err := r.Changes.Lstat(id.AttemptsFile()); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return records.DropAttempts(r.Changes, id)
}

// fallback returns the entry of the good deployment to fall back to: the booted one, which
// runs, or else the loader's first. It is the zero entry if there is none.
func (r Root) fallback(c Case) (boot.EntryFile, error) {
	var found boot.EntryFile
	for _, f := range c.Files {
		if !f.Good() || f.Target.ID == c.ID {
			continue
		}
		good, err := r.good(f.Target.ID, c.Files)
		if err != nil {
			return boot.EntryFile{}, err
		}
		if good && (found.Target.ID == "" || f.Target.ID == c.Booted) {
			found = f
		}
	}
	return found, nil
}

// good reports whether a deployment, which has a good entry, can be one to fall back to: it is
// there, and its record does not say otherwise.
func (r Root) good(id deployment.ID, files []boot.EntryFile) (bool, error) {
	for _, needed := range []string{id.ImageFile(), id.Dir()} {
		_, err := fs.Stat(r.FS, needed)
		if found, err := bounded.Found(err); !found || err != nil {
			return false, err
		}
	}
	a, err := records.LoadAttempts(r.FS, id)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, records.ErrDamaged):
		return true, nil
	case err != nil:
		return false, err
	}
	return !Counts(a, files), nil
}

// kernel returns the release of a deployment's kernel, "" if nothing tells.
func (r Root) kernel(id deployment.ID) string {
	o, err := records.LoadOrigin(r.FS, id)
	if err != nil {
		return ""
	}
	return o.Kernel
}

// Counts reports whether a record says that its deployment is on trial, or not to be booted.
// An entry that was published with tries, and has none now, was blessed by a program that
// does not know the record.
func Counts(a deployment.Attempts, files []boot.EntryFile) bool {
	if !a.Trial {
		return a.Spent()
	}
	return !a.Counted || slices.ContainsFunc(files, func(f boot.EntryFile) bool {
		return f.Target.ID == a.ID && f.Bootable() && f.Name.Counted
	})
}

// Name returns the name of an entry with the tries that a record leaves its deployment, for a
// record that Counts.
func Name(n bootentry.Name, a deployment.Attempts) bootentry.Name {
	left, done := a.Left, a.Done
	if !a.Trial {
		left, done = 0, a.Failures
	}
	if n.Counted {
		left, done = min(left, n.TriesLeft), max(done, n.TriesDone)
	}
	return bootentry.Name{Base: n.Base, Counted: true, TriesLeft: left, TriesDone: done}
}

// Bless notes that the booted deployment has proved itself, before its entry says so: so at
// no moment an entry that is good is counted down.
func (r Root) Bless(id deployment.ID) error {
	a, err := records.LoadAttempts(r.FS, id)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case errors.Is(err, records.ErrDamaged):
		return r.drop(id)
	case err != nil:
		return err
	case a.AttemptsCount == deployment.AttemptsCount{}:
		return nil
	}
	a.AttemptsCount, a.Counted = deployment.AttemptsCount{}, false
	return records.StoreAttempts(r.Changes, a)
}

// Retry gives a deployment on trial all its tries back.
func (r Root) Retry(a deployment.Attempts) error {
	a.AttemptsCount = deployment.AttemptsCount{Trial: true, Left: boot.TriesOfNew}
	return records.StoreAttempts(r.Changes, a)
}

// Forget gives the records whose fallback is about to be removed another one, and leaves the
// counts as they are.
func (r Root) Forget(booted deployment.ID, files []boot.EntryFile, gone []deployment.ID) error {
	all, _, err := records.LoadAllAttempts(r.FS)
	if err != nil {
		return err
	}
	left := slices.DeleteFunc(slices.Clone(files), func(f boot.EntryFile) bool { return slices.Contains(gone, f.Target.ID) })
	for _, id := range slices.Sorted(maps.Keys(all)) {
		a := all[id]
		if slices.Contains(gone, id) || !slices.Contains(gone, a.Fallback) {
			continue
		}
		now, err := r.armed(Case{ID: id, Booted: booted, Files: left, Counted: a.Counted})
		if err != nil {
			return err
		}
		if now.Fallback == "" {
			err = r.drop(id)
		} else {
			now.AttemptsCount = a.AttemptsCount
			err = records.StoreAttempts(r.Changes, now)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
