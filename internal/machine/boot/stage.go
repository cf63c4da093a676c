package boot

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bootentry"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
)

// NewEntry returns the boot entry for the kernel that WriteKernel wrote to a directory,
// see KernelDir. prettyName is that of os-release(5), options the kernel command line,
// which names the deployment.
func NewEntry(prettyName, version, dir, options string) bootentry.Entry {
	e := newEntry(prettyName, version)
	e.Linux = "/" + dir + "/" + linuxFile
	e.Initrds = []string{"/" + dir + "/" + initrdFile}
	e.Options = options
	return e
}

func newEntry(prettyName, version string) bootentry.Entry {
	return bootentry.Entry{Title: bootentry.Title(prettyName, version), SortKey: sortKey}
}

// StageEntry writes a boot entry under a name that no loader reads and returns
// the name that Publish will give it, before all other entries. It has three
// tries if there is a good deployment to fall back to. What was staged before stays
// until KeepStaged, so a record can be changed from one to the other in between. When
// StageEntry returns nil, the entry survives a crash, and so does all that was written
// to the partition before: the kernel that it names.
func (p *Partition) StageEntry(e bootentry.Entry) (string, error) {
	name, err := p.stageEntry(e)
	if err != nil {
		return "", fmt.Errorf("cannot stage boot entry: %w", p.explain(err))
	}
	return name, nil
}

func (p *Partition) stageEntry(e bootentry.Entry) (string, error) {
	target, err := e.Deployment()
	if err != nil {
		return "", err
	}
	if err := p.checkKernel(e); err != nil {
		return "", err
	}
	files, err := p.prepareEntries()
	if err != nil {
		return "", err
	}
	n, e := p.stagedForm(files, e, target.ID)
	if err := p.noteEntry(n); err != nil {
		return "", err
	}
	name := n.String()
	if err := p.writeStaged(name, e); err != nil {
		return "", err
	}
	if err := p.checkStaged(name); err != nil {
		return "", err
	}
	return name, p.sync()
}

// prepareEntries makes the directory of entries, and where they are made, and all
// entries for deployments ours.
func (p *Partition) prepareEntries() ([]EntryFile, error) {
	if err := p.makeDirs(); err != nil {
		return nil, err
	}
	if err := p.adopt(); err != nil {
		return nil, err
	}
	if err := p.addVersions(); err != nil {
		return nil, err
	}
	return p.Entries()
}

// stagedForm returns the name for a new entry, and the entry as it is under that name:
// the one that it has already if it is staged and would not be written differently.
func (p *Partition) stagedForm(files []EntryFile, e bootentry.Entry, id deployment.ID) (bootentry.Name, bootentry.Entry) {
	tries, key := p.triesFor(files, id), sortKeyAmong(files)
	e = trialForm(e, tries > 0)
	for _, f := range files {
		formed := ourForm(e, f.Name, key)
		same := f.Staged && !f.Foreign && f.Err == nil && f.Name.Counted == (tries > 0) && bytes.Equal(f.raw, formed.Encode())
		if same && isFirst(files, f.Name) {
			return f.Name, formed
		}
	}
	name := p.nextName(files, id, tries)
	return name, ourForm(e, name, key)
}

// isFirst reports whether no entry has a higher serial number.
func isFirst(files []EntryFile, n bootentry.Name) bool {
	serial, ours := serialOf(n)
	for _, f := range files {
		if s, ok := serialOf(f.Name); ok && s > serial {
			return false
		}
	}
	return ours
}

// writeStaged writes an entry under a name that no loader reads, and that nobody
// refers to before sync has been called.
func (p *Partition) writeStaged(name string, e bootentry.Entry) error {
	if err := p.writeMenuEntry(name, e.Encode()); err != nil {
		return err
	}
	path := entriesDir + "/" + name + stagedSuffix
	if old, err := p.readSmall(path); err == nil && bytes.Equal(old, e.Encode()) {
		return nil // from an earlier try
	}
	if err := p.removeLeft(path); err != nil { // half of one
		return err
	}
	err := p.writeNew(path, bytes.NewReader(e.Encode()))
	if err != nil {
		// Give the space back: a full file system is the likeliest reason.
		return errors.Join(err, durable.Remove(p.fs, path))
	}
	return nil
}

// checkStaged reads a staged entry as Publish will. One that no loader could boot
// goes at once: otherwise each shutdown would find it out anew.
func (p *Partition) checkStaged(name string) error {
	staged := p.readEntry(name + stagedSuffix)
	if staged.Err != nil {
		return errors.Join(staged.Err, p.removeEntry(staged.File))
	}
	return nil
}

// writeNew writes a new file, which survives a crash after sync.
func (p *Partition) writeNew(name string, content io.Reader) error {
	f, err := p.fs.Create(name, 0o644)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	return errors.Join(err, f.Close())
}

// removeStaged removes staged entries and what a crash left of them, except the one
// called keep.
func (p *Partition) removeStaged(files []EntryFile, keep string) error {
	for _, f := range files {
		if !f.isStaged() && !isFiller(f.File) || f.File == keep {
			continue
		}
		if err := p.removeEntry(f.File); err != nil {
			return err
		}
	}
	return nil
}

// Unstage removes all staged entries.
func (p *Partition) Unstage() error { return p.KeepStaged("") }

// KeepStaged removes all staged entries except the one that Publish would give a name.
func (p *Partition) KeepStaged(name string) error {
	files, err := p.Entries()
	if err == nil {
		err = p.removeStaged(files, name+stagedSuffix)
	}
	if err != nil {
		return fmt.Errorf("cannot remove staged boot entry: %w", err)
	}
	return nil
}

func (p *Partition) removeEntry(file string) error {
	return durable.Remove(p.fs, entriesDir+"/"+file)
}

// Publish gives a staged entry, by the name that StageEntry returned, its name:
// the deployment is what boots next. If it returns nil or a *LeftError, this survives a
// crash; with another error, the previous deployment is next, unless the error comes from
// writing out what was done. Publishing again what is published does nothing.
func (p *Partition) Publish(name string) error {
	name = strings.TrimSuffix(name, stagedSuffix)
	if err := p.publish(name); isLeft(err) {
		return p.explain(err)
	} else if err != nil {
		return fmt.Errorf("cannot publish boot entry %s: %w", name, p.explain(err))
	}
	return nil
}

func (p *Partition) publish(name string) error {
	if strings.ContainsRune(name, '/') {
		return errors.New("it is not a file name")
	}
	staged := p.readEntry(name + stagedSuffix)
	found, err := p.exists(entriesDir + "/" + name + stagedSuffix)
	if err != nil {
		return err
	}
	if !found {
		if err := p.checkPublished(staged.Name); err != nil {
			return err
		}
		p.keepReserve() // it may have been stopped there
		return nil
	}
	if staged.Err != nil {
		return staged.Err
	}
	if have, err := p.inventory(); err != nil {
		return err
	} else if have.disown(&staged); staged.Foreign {
		return errForeign
	}
	return p.commit(name, staged.content(), staged.File)
}

// content returns what the entry is to say, whoever wrote it: if it is on trial, the loader
// has to count its boots.
func (f EntryFile) content() []byte {
	if countable := f.Entry.Countable(); f.Name.Counted && countable.Linux != f.Entry.Linux {
		return countable.Encode()
	}
	return f.raw
}

// checkPublished returns nil if an entry of this name is there, whatever tries
// the loader has left it by now.
func (p *Partition) checkPublished(n bootentry.Name) error {
	files, err := p.Entries()
	if err != nil {
		return err
	}
	for _, f := range files {
		if !f.Staged && !f.Foreign && n.Base != "" && f.Name.Base == n.Base {
			return f.Err
		}
	}
	return fmt.Errorf("%w of that name is staged", ErrNoEntry)
}

// commit atomically and durably replaces the entry with a name, and then removes the entry
// whose place it takes. The kernel that it boots was synced before. The old entry is not
// renamed: on FAT the new name takes several sectors and leads to nothing until it is
// synced, while the old one may already be gone. A power cut would lose the entry.
func (p *Partition) commit(name string, content []byte, old string) error {
	if err := p.tidyGRUBEnv(name); err != nil {
		return err
	}
	if err := p.writeEntry(name, content); err != nil {
		return err
	}
	if err := p.removeEntry(old); err != nil {
		return &LeftError{name, old, err}
	}
	p.keepReserve()
	return nil
}

// A LeftError reports that a boot entry has been made, durably, and that the file whose
// place it takes could not be removed. The next change of the partition removes it.
type LeftError struct {
	Entry, Old string // names of the files
	Err        error
}

func (e *LeftError) Error() string {
	return fmt.Sprintf("boot entry %s is in place, but %s is left: %v", e.Entry, e.Old, e.Err)
}

func (e *LeftError) Unwrap() error { return e.Err }

func isLeft(err error) bool {
	_, ok := errors.AsType[*LeftError](err)
	return ok
}
