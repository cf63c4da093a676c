package boot

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bootentry"
	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
)

// sortKey puts our entries together, wherever a loader has others.
const sortKey = bootentry.OurPrefix

// TriesOfNew is how many boots a new deployment gets to prove itself.
const TriesOfNew = 3

// An EntryFile is a file in the directory of boot entries.
type EntryFile struct {
	File   string            // file name
	Staged bool              // no loader reads it yet
	Name   bootentry.Name    // without .staged
	Entry  bootentry.Entry   //
	Target deployment.Target // what it boots; the zero Target if that is no deployment of the machine
	// Foreign says that it belongs to another system on the partition.
	Foreign bool
	Err     error // why no loader can boot it

	raw    []byte
	unread bool // a loader may be able to read what could not be read here
	byGRUB bool // GRUB has counted boots of it
}

// IsDeployment reports whether the entry is for a deployment of the machine, and not for
// another operating system.
func (f EntryFile) IsDeployment() bool { return f.Target.ID != "" }

// Bootable reports whether a loader lists the entry.
func (f EntryFile) Bootable() bool { return f.Err == nil && !f.Staged }

// NamedFor returns how the ID of the deployment begins that an entry of ours is for, by
// its file name; "" for a name of another form.
func (f EntryFile) NamedFor() string {
	_, id, ours := parseBase(f.Name.Base)
	if !ours {
		return ""
	}
	return id
}

// Good reports whether a loader boots the deployment without counting: it was
// blessed once, or was never on trial.
func (f EntryFile) Good() bool { return f.Bootable() && f.IsDeployment() && !f.Name.Counted }

// isStaged reports whether it is a deployment's entry that waits to be published.
func (f EntryFile) isStaged() bool {
	_, ours := serialOf(f.Name)
	return f.Staged && !f.Foreign && (ours || f.IsDeployment())
}

// isNeighbours reports whether another system that this program manages wrote the entry.
func (f EntryFile) isNeighbours() bool {
	_, ours := serialOf(f.Name)
	return ours && f.Foreign
}

// Entries returns all files in the directory of boot entries: first those that
// a loader can boot, in its order, then the staged ones, then invalid ones with
// the reason in Err. The error says that the directory itself cannot be read.
func (p *Partition) Entries() ([]EntryFile, error) {
	list, err := p.readDir(entriesDir)
	if err != nil {
		return nil, fmt.Errorf("cannot read boot entries on %s: %w", p, err)
	}
	have, err := p.inventory()
	if err != nil {
		return nil, fmt.Errorf("cannot read boot entries on %s: %w", p, err)
	}
	var files []EntryFile
	counts := p.readGRUBCounts()
	for _, name := range list {
		f := p.readEntry(name)
		counts.apply(&f)
		have.disown(&f)
		files = insertEntry(files, f)
	}
	return files, nil
}

// insertEntry puts an entry in its place among others, after its equals. There are
// few, and finalize has no room for a better way of sorting.
func insertEntry(files []EntryFile, f EntryFile) []EntryFile {
	files = append(files, f)
	for i := len(files) - 1; i > 0 && compareEntries(f, files[i-1]) < 0; i-- {
		files[i], files[i-1] = files[i-1], files[i]
	}
	return files
}

func compareEntries(a, b EntryFile) int {
	if c := a.class() - b.class(); c != 0 {
		return c
	}
	if a.Err != nil {
		return strings.Compare(a.File, b.File)
	}
	return bootentry.Compare(bootentry.File{Name: a.Name, Entry: a.Entry}, bootentry.File{Name: b.Name, Entry: b.Entry})
}

func (f EntryFile) class() int {
	switch {
	case f.Err != nil:
		return 2
	case f.Staged:
		return 1
	}
	return 0
}

// EntryPath returns the path of an entry by its file name.
func EntryPath(file string) string { return path.Join(entriesDir, file) }

// IsOthers reports whether a name in the root of a partition is none of ours, of the boot loaders'
// and of firmware's.
func IsOthers(name string) bool {
	return !slices.ContainsFunc([]string{"EFI", "loader", kernelsDir}, func(own string) bool { return strings.EqualFold(own, name) })
}

// Next returns the entry that the loader boots next if nobody and no setting
// tells it otherwise: the first of Entries.
func Next(files []EntryFile) (EntryFile, bool) {
	if len(files) == 0 || !files[0].Bootable() {
		return EntryFile{}, false
	}
	return files[0], true
}

func (p *Partition) readEntry(file string) EntryFile {
	f := EntryFile{File: file}
	name, staged := strings.CutSuffix(file, stagedSuffix)
	f.Staged = staged
	if f.Name, f.Err = bootentry.ParseName(name); f.Err != nil {
		f.Err = fmt.Errorf("no loader reads it: %w", f.Err)
		return f
	}
	if f.raw, f.Err = p.readSmall(entriesDir + "/" + file); f.Err != nil {
		f.unread = !errors.Is(f.Err, bounded.ErrNotRegular)
		return f
	}
	if f.Entry, f.Err = bootentry.Parse(f.raw); f.Err != nil {
		return f
	}
	if f.Target, f.Err = f.Entry.Deployment(); errors.Is(f.Err, deployment.ErrNoDeployment) {
		f.Err = nil
	}
	if f.Err == nil {
		f.Err = p.checkKernel(f.Entry)
	}
	return f
}

func (p *Partition) checkKernel(e bootentry.Entry) error {
	for _, path := range e.Kernel() {
		found, err := p.Has(path)
		if err != nil {
			return fmt.Errorf("it names /%s, which cannot be looked at: %w", Relative(path), err)
		}
		if !found {
			return fmt.Errorf("it names /%s, which is missing or empty", Relative(path))
		}
	}
	return nil
}

func (p *Partition) readSmall(name string) ([]byte, error) {
	if info, err := p.root.Lstat(name); err == nil && !info.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "read", Path: name, Err: bounded.ErrNotRegular} // no link either
	}
	return bounded.ReadRoot(p.root, name, limits.BootEntry)
}

// serialOf returns the serial number in the name of one of our entries.
func serialOf(n bootentry.Name) (serial int, ours bool) {
	serial, _, ours = parseBase(n.Base)
	return serial, ours
}

// parseBase is bootentry.Name.Ours for a name without tries.
func parseBase(base string) (serial int, id string, ours bool) {
	return bootentry.Name{Base: base}.Ours()
}

// nextName returns the name of an entry that comes before all there are. Where another
// system has entries of the same form it gets a tag: that system may have recorded a name
// for an entry that it never wrote, and must not take ours for that.
func (p *Partition) nextName(files []EntryFile, id deployment.ID, tries uint) bootentry.Name {
	highest := 0
	for _, f := range files {
		half := f.Staged && !f.Foreign && (f.Err != nil || !f.IsDeployment()) // what a crash has left, to be written again
		if serial, ours := serialOf(f.Name); ours && !half {
			highest = max(highest, serial)
		}
	}
	base := fmt.Sprintf("%s-%06d-%s", sortKey, highest+1, id.Short())
	if p.ledger != nil && slices.ContainsFunc(files, EntryFile.isNeighbours) {
		base += "-" + p.ledger.Tag()
	}
	return bootentry.Name{
		Base:      base,
		Counted:   tries > 0,
		TriesLeft: tries,
	}
}

// triesFor returns how many tries a deployment gets that is not known to be
// good: none, which means any number, where there is no other to fall back to, or
// nobody who counts: then the entry would be on trial for ever.
func (p *Partition) triesFor(files []EntryFile, id deployment.ID) uint {
	if p.uncounted {
		return 0
	}
	for _, f := range files {
		if f.Good() && f.Target.ID != id {
			return TriesOfNew
		}
	}
	return 0
}
