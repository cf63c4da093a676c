package boot

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"syscall"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bootentry"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
)

// kernelPlaces are where kernels of deployments are: ours, and bootc's.
var kernelPlaces = []struct{ dir, prefix string }{
	{kernelsDir, ""},
	{bootcDir, bootcPrefix},
	{bootcDir + "/bootc", bootcPrefix},
}

// A Removal is what Prune removes from a boot partition: paths of boot entries,
// and of files and directories of kernels.
type Removal struct {
	Entries, Kernels []string

	// stays reports whether a deployment, by how its ID begins, stays without an entry.
	// The record of entries then tells that it has had one.
	stays func(id string) bool
}

// Paths returns all paths, in the order in which they are removed.
func (r Removal) Paths() []string { return slices.Concat(r.Entries, r.Kernels) }

// PlanPrune returns everything that no deployment to keep needs: the boot entries of
// other deployments; redundant entries of the kept ones (the first stays, and the first
// good one); staged entries, except the one that will have the name staged; leftovers of a
// crash; and the machine's kernels that no remaining entry names. Files of other systems
// and files that cannot be parsed stay. It is an error if no kept deployment could be
// booted.
func (p *Partition) PlanPrune(keep []deployment.ID, staged string) (Removal, error) {
	files, err := p.Entries()
	if err != nil {
		return Removal{}, fmt.Errorf("cannot prune boot entries: %w", err)
	}
	var gone []deployment.ID
	safe := false
	for _, f := range files {
		switch kept := slices.Contains(keep, f.Target.ID); {
		case !f.IsDeployment():
		case kept:
			safe = safe || f.Bootable()
		default:
			gone = append(gone, f.Target.ID)
		}
	}
	if len(gone) > 0 && !safe {
		return Removal{}, errors.New("cannot prune boot entries: none of the deployments to keep could be booted")
	}
	r, err := p.removal(gone, func(f EntryFile) bool { return f.isStaged() && f.File != staged+stagedSuffix })
	if err != nil {
		return Removal{}, fmt.Errorf("cannot prune boot entries: %w", err)
	}
	r.stays = func(id string) bool { return anyBegins(keep, id) }
	return r, nil
}

// anyBegins reports whether the ID of any deployment begins with prefix.
func anyBegins(ids []deployment.ID, prefix string) bool {
	return slices.ContainsFunc(ids, func(id deployment.ID) bool { return strings.HasPrefix(string(id), prefix) })
}

// Prune removes what PlanPrune found, entries before kernels, so that no entry ever names
// a missing kernel. Once Prune returns nil, removed files stay removed after a crash, and
// their blocks can be used: if FAT still had an old name for
// them after a crash, removing that one would free blocks of another file.
func (p *Partition) Prune(r Removal) error {
	if len(r.Entries) > 0 {
		// After a crash in between, they will be known to be ours. Where that cannot be
		// noted, as on a full disk, they stay after one, which costs room alone.
		_ = p.note(r.Kernels...)
	}
	if err := p.removeAll(r.Entries); err != nil {
		return fmt.Errorf("cannot prune boot entries: %w", p.explain(err))
	}
	if err := p.removeAll(r.Kernels); err != nil {
		return fmt.Errorf("cannot prune kernels: %w", p.explain(err))
	}
	p.dropMenuEntries()
	p.forget(r.stays)
	return nil
}

// removeAll removes files and directories, with one sync of each directory that
// they were in.
func (p *Partition) removeAll(paths []string) error {
	paths, err := p.moveAway(paths)
	if err != nil {
		return err
	}
	var dirs []string
	for _, name := range paths {
		if err := durable.RemoveAll(durable.Unsynced(p.fs), name); err != nil {
			return err
		}
		if dir := path.Dir(name); !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
	}
	for _, dir := range dirs {
		if err := p.fs.Sync(dir); err != nil {
			return err
		}
	}
	return nil
}

// moveAway moves directories of paths to scratchDir, and returns where everything
// is then. On FAT the clusters of a directory may be free before its name is gone:
// of that fsck.vfat makes one that begins nowhere, which must not be where it is
// listed.
func (p *Partition) moveAway(paths []string) ([]string, error) {
	if !p.fat {
		return paths, nil
	}
	moved := slices.Clone(paths)
	for i, name := range paths {
		info, err := p.fs.Lstat(name)
		if err != nil || !info.IsDir() || path.Dir(name) == scratchDir {
			continue // the removal says what is wrong with it
		}
		temp, err := p.toScratch(name)
		if errors.Is(err, syscall.ENOSPC) {
			continue // removing it where it is makes room
		}
		if err != nil {
			return nil, err
		}
		moved[i] = temp
	}
	if slices.Equal(moved, paths) {
		return paths, nil
	}
	return moved, p.sync()
}

// removal returns the boot entries of deployments, those that are redundant or
// also go, and the kernels that no other entry names.
func (p *Partition) removal(gone []deployment.ID, also func(EntryFile) bool) (Removal, error) {
	files, err := p.Entries()
	if err != nil {
		return Removal{}, err
	}
	var r Removal
	var removed, rest []EntryFile
	for i, f := range files {
		superseded := f.IsDeployment() && slices.Contains(gone, f.Target.ID) || isRedundant(files, i)
		if superseded || isFiller(f.File) || also(f) {
			r.Entries = append(r.Entries, entriesDir+"/"+f.File)
			removed = append(removed, f)
		} else {
			rest = append(rest, f)
		}
	}
	staged, err := p.stagedByBootc()
	if err != nil {
		return Removal{}, err
	}
	unneeded, err := p.unneeded(append(rest, staged...))
	for _, name := range unneeded {
		if path.Dir(name) == scratchDir || p.wrote(name) || anyNames(readable(removed), name) {
			r.Kernels = append(r.Kernels, name)
		}
	}
	return r, err
}

// unneeded returns what was being made when a program was killed, and the kernels of all machines
// that none of the entries names.
func (p *Partition) unneeded(rest []EntryFile) (paths []string, err error) {
	if paths, err = p.scratchLeftovers(); err != nil {
		return nil, err
	}
	for _, place := range kernelPlaces {
		unnamed, err := p.unnamed(place.dir, place.prefix, rest)
		if err != nil {
			return nil, err
		}
		paths = append(paths, unnamed...)
	}
	return paths, nil
}

// isRedundant reports whether an entry before the i-th boots the same deployment,
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

// PlanTidy returns the boot entries of a deployment that others of it have replaced before
// anybody booted them, as after several changes to its kernel arguments: the first stays, the
// one that was booted, each that has used a try, and the oldest good one, to go back to.
func (p *Partition) PlanTidy(id deployment.ID) (Removal, error) {
	r := Removal{stays: func(string) bool { return true }}
	files, err := p.Entries()
	if err != nil {
		return r, fmt.Errorf("cannot prune boot entries: %w", err)
	}
	isOlder := func(f EntryFile) bool { return f.Bootable() && f.Good() && f.Target.ID == id }
	for i, f := range files {
		booted := f.Name.TriesDone > 0 || f.byGRUB || f.Name.ID() == p.bootedID
		if f.Target.ID != id || f.Foreign || booted || !isRedundant(files, i) {
			continue
		}
		if f.Name.Counted || slices.ContainsFunc(files[i+1:], isOlder) {
			r.Entries = append(r.Entries, entriesDir+"/"+f.File)
		}
	}
	return r, nil
}

// unnamed returns what there is in dir, of names that begin with prefix, and
// no entry names: also what a crash left of a kernel being written.
func (p *Partition) unnamed(dir, prefix string, rest []EntryFile) ([]string, error) {
	list, err := p.readDir(dir)
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, base := range list {
		name := path.Join(dir, base)
		if strings.HasPrefix(base, prefix) && !anyNames(rest, name) && name != scratchDir && name != reserveFile {
			paths = append(paths, name)
		}
	}
	return paths, nil
}

// readable returns the entries that are known to name only what they are read to name.
func readable(files []EntryFile) []EntryFile {
	return slices.DeleteFunc(slices.Clone(files), func(f EntryFile) bool { return f.unread })
}

func anyNames(files []EntryFile, name string) bool {
	return slices.ContainsFunc(files, func(f EntryFile) bool { return f.names(name) })
}

// names reports whether the entry boots something from the file or directory, or
// what systemd-stub(7) puts beside it. Of an invalid entry it is
// enough that its text has the name in it; one that cannot be read may name anything.
func (f EntryFile) names(name string) bool {
	if f.unread {
		return true
	}
	name = strings.TrimSuffix(name, bootentry.ExtrasOf(""))
	for _, k := range f.Entry.Kernel() {
		k = Relative(k)
		if _, below := cutDir(k, name); below || strings.EqualFold(k, name) {
			return true
		}
	}
	return f.Err != nil && bytes.Contains(f.raw, []byte(path.Base(name)))
}
