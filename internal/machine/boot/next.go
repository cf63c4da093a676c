package boot

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
)

// Rollback atomically makes a deployment that has a boot entry the next to boot, and
// returns the entry's new file name. An entry that was on trial and
// is not known to be good gets new tries, if there is a good one to fall back
// to. Staged entries stay as they are: see Unstage. The error is ErrNoEntry if
// the deployment has no entry.
func (p *Partition) Rollback(id deployment.ID) (string, error) {
	name, err := p.rollback(id)
	if err != nil {
		err = p.explain(err)
		if full, ok := errors.AsType[*FullError](err); ok {
			full.Besides = p.besides()
		}
		if isLeft(err) {
			return name, err
		}
		return "", fmt.Errorf("cannot make deployment %s the next to boot: %w", id.Short(), err)
	}
	return name, nil
}

func (p *Partition) rollback(id deployment.ID) (string, error) {
	files, err := p.prepareEntries()
	if err != nil {
		return "", err
	}
	i := slices.IndexFunc(files, func(f EntryFile) bool { return f.Target.ID == id && !f.Staged })
	if i < 0 {
		return "", ErrNoEntry
	}
	f := files[i]
	switch {
	case f.Err != nil: // so have all others of the deployment, being last
		return "", f.Err
	case i == 0 && !f.Name.Exhausted() && bytes.Equal(f.content(), f.raw):
		p.keepReserve() // it may have been stopped there
		return f.File, nil
	}
	var tries uint
	if f.Name.Counted {
		tries = p.triesFor(files, id)
	}
	name := p.nextName(files, id, tries)
	e := trialForm(ourForm(f.Entry, name, sortKeyAmong(files)), name.Counted)
	if name.Counted {
		e = e.Countable()
	}
	if err := p.noteEntry(name); err != nil {
		return "", err
	}
	return name.String(), p.commit(name.String(), e.Encode(), f.File)
}

// adopt rewrites entries for deployments that come before all of ours and were written by
// other programs: it gives them our form and keeps their order. Those of bootc stay as
// bootc wrote them. At every moment the first entry boots the same deployment.
func (p *Partition) adopt() error {
	files, err := p.Entries()
	if err != nil {
		return err
	}
	foreign := leadingForeign(files)
	for _, f := range slices.Backward(foreign) {
		if err := p.copyForeign(f); err != nil {
			return fmt.Errorf("take over boot entry %s: %w", f.File, err)
		}
	}
	for _, f := range slices.Backward(foreign) {
		if err := p.removeEntry(f.File); err != nil {
			return fmt.Errorf("take over boot entry %s: %w", f.File, err)
		}
	}
	return nil
}

// leadingForeign returns the entries of other programs for deployments that are
// before the first of ours.
func leadingForeign(files []EntryFile) []EntryFile {
	var foreign []EntryFile
	for _, f := range files {
		if !f.Bootable() || f.ours() && !f.Foreign {
			break
		}
		if f.IsDeployment() && !f.Name.Exhausted() && !f.isBootcs() {
			foreign = append(foreign, f)
		}
	}
	return foreign
}

func (p *Partition) copyForeign(f EntryFile) error {
	files, err := p.Entries()
	if err != nil {
		return err
	}
	key := sortKeyAmong(files)
	for _, other := range files {
		if other.ours() && !other.Staged && !other.Foreign && bytes.Equal(other.raw, ourForm(f.Entry, other.Name, key).Encode()) {
			return nil // a crash interrupted this
		}
	}
	name := f.Name
	name.Base = p.nextName(files, f.Target.ID, 0).Base
	if err := p.noteEntry(name); err != nil {
		return err
	}
	return p.writeEntry(name.String(), ourForm(f.Entry, name, key).Encode())
}
