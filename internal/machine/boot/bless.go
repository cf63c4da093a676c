package boot

import (
	"fmt"
	"slices"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bootentry"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
)

// Bless makes the entry good that the loader has booted on trial, whatever tries it
// has left. systemd-bless-boot(8) does so only where the partition is mounted, and on
// FAT its rename may lose the entry in a power cut. Blessing again does nothing.
func (p *Partition) Bless(n bootentry.Name) error {
	files, err := p.Entries()
	if err != nil {
		return err
	}
	err = fmt.Errorf("%w %s on %s", ErrNoEntry, n.ID(), p)
	for _, f := range files {
		if f.Staged || f.Name.ID() != n.ID() {
			continue
		}
		if f.Foreign {
			err = fmt.Errorf("boot entry %s: %w", f.File, errForeign)
			continue
		}
		if err = nil; !f.Name.Counted {
			continue
		}
		if err := p.makeGood(f); err != nil {
			return err
		}
	}
	return err
}

// makeGood takes the tries off an entry.
func (p *Partition) makeGood(f EntryFile) error {
	good, content := bootentry.Name{Base: f.Name.Base}, f.raw
	if e := trialForm(f.Entry, false); e.Options != f.Entry.Options {
		content = e.Encode()
	}
	if err := p.commit(good.String(), content, f.File); err != nil {
		return p.explain(err)
	}
	return nil
}

// BlessBooted is Bless for a boot of a deployment on trial whose entry the loader does not
// name, or names wrongly: the entry that the loader selected, if it says so much, or else all
// entries of the deployment.
func (p *Partition) BlessBooted(id deployment.ID) error {
	files, err := p.Entries()
	if err != nil {
		return err
	}
	isItsOwn := func(f EntryFile) bool { return f.Bootable() && f.Target.ID == id }
	selected := func(f EntryFile) bool { return isItsOwn(f) && f.Name.ID() == p.bootedID }
	own := slices.DeleteFunc(slices.Clone(files), func(f EntryFile) bool { return !isItsOwn(f) })
	if slices.ContainsFunc(own, selected) {
		own = slices.DeleteFunc(own, func(f EntryFile) bool { return !selected(f) })
	}
	if len(own) == 0 {
		return fmt.Errorf("%w for deployment %s on %s", ErrNoEntry, id.Short(), p)
	}
	for _, f := range own {
		if !f.Name.Counted {
			continue
		}
		if err := p.makeGood(f); err != nil {
			return err
		}
	}
	return nil
}
