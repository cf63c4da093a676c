package boot

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/durable"
)

// kernelPlaces are where kernels of deployments are: ours, and bootc's.
var kernelPlaces = []struct{ dir, prefix string }{
	{kernelsDir, ""},
	{"EFI/Linux", "bootc_composefs-"},
	{"EFI/Linux/bootc", "bootc_composefs-"},
}

// Prune removes the boot entries of all deployments but those to keep, of which
// it leaves the first and the first good one, and then the kernels that no entry
// names. Other operating systems' entries and what
// makes no sense stay. The error, and nothing is removed, if no deployment that
// is kept could be booted.
func (p *Partition) Prune(keep []deployment.ID) error {
	files, err := p.Entries()
	if err != nil {
		return fmt.Errorf("cannot prune boot entries: %w", err)
	}
	var gone []deployment.ID
	safe := false
	for _, f := range files {
		switch kept := slices.Contains(keep, f.Target.ID); {
		case !f.IsDeployment():
		case kept:
			safe = safe || f.Bootable()
		case !slices.Contains(gone, f.Target.ID):
			gone = append(gone, f.Target.ID)
		}
	}
	if len(gone) > 0 && !safe {
		return errors.New("cannot prune boot entries: none of the deployments to keep could be booted")
	}
	if err := p.remove(gone); err != nil {
		return fmt.Errorf("cannot prune boot entries: %w", err)
	}
	return nil
}

// remove removes the boot entries of deployments and those that are redundant,
// and then the kernels that no entry names.
func (p *Partition) remove(gone []deployment.ID) error {
	files, err := p.Entries()
	if err != nil {
		return err
	}
	var rest []EntryFile
	for i, f := range files {
		superseded := f.IsDeployment() && slices.Contains(gone, f.Target.ID) || isRedundant(files, i)
		if !superseded && !f.leftover() {
			rest = append(rest, f)
			continue
		}
		if err := p.removeEntry(f.File); err != nil {
			return err
		}
	}
	if err := p.removeUnfinished(); err != nil {
		return err
	}
	for _, place := range kernelPlaces {
		if err := p.removeUnnamed(place.dir, place.prefix, rest); err != nil {
			return err
		}
	}
	return nil
}

// isRedundant says whether an entry before the i-th boots the same deployment,
// and is good if the i-th is: a deployment that becomes the next once more has
// another entry each time.
func isRedundant(files []EntryFile, i int) bool {
	f := files[i]
	if !f.Bootable() || !f.IsDeployment() {
		return false
	}
	return slices.ContainsFunc(files[:i], func(before EntryFile) bool {
		return before.Target.ID == f.Target.ID && (before.Good() || !f.Good())
	})
}

func (p *Partition) removeUnnamed(dir, prefix string, rest []EntryFile) error {
	list, err := p.readDir(dir)
	if err != nil {
		return err
	}
	for _, d := range list {
		name := path.Join(dir, d.Name())
		if !strings.HasPrefix(d.Name(), prefix) || slices.ContainsFunc(rest, func(f EntryFile) bool { return f.names(name) }) {
			continue
		}
		if err := durable.RemoveAll(p.fs, name); err != nil {
			return err
		}
	}
	return nil
}

// names says whether the entry boots something from the file or directory. Of
// an entry that cannot be read it is enough that its text has the name in it.
func (f EntryFile) names(name string) bool {
	for _, k := range f.Entry.Kernel() {
		k = relative(k)
		if strings.EqualFold(k, name) || len(k) > len(name) && k[len(name)] == '/' && strings.EqualFold(k[:len(name)], name) {
			return true
		}
	}
	return f.Err != nil && bytes.Contains(f.raw, []byte(path.Base(name)))
}
