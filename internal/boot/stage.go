package boot

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/bootentry"
	"github.com/sysupdate-image/sysupdate-image/internal/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/durable"
)

// NewEntry returns the boot entry for the kernel that WriteKernel wrote.
// prettyName is that of os-release(5), options the kernel command line, which
// names the deployment.
func NewEntry(prettyName, version, kernel, options string) bootentry.Entry {
	title := prettyName
	if version != "" {
		title += " (" + version + ")"
	}
	return bootentry.Entry{
		Title:   title,
		SortKey: sortKey,
		Linux:   "/" + kernelsDir + "/" + kernel + "/vmlinuz",
		Initrds: []string{"/" + kernelsDir + "/" + kernel + "/initrd"},
		Options: options,
	}
}

// StageEntry writes a boot entry under a name that no loader reads and returns
// the name that Publish will give it, before all other entries. It has three
// tries if there is a good deployment to fall back to. What was staged before
// is gone. If StageEntry fails, what was staged before may be gone or not.
func (p *Partition) StageEntry(e bootentry.Entry) (string, error) {
	target, err := e.Deployment()
	if err != nil {
		return "", fmt.Errorf("cannot stage boot entry: %w", err)
	}
	if err := p.checkKernel(e); err != nil {
		return "", fmt.Errorf("cannot stage boot entry: %w", err)
	}
	files, err := p.prepareEntries()
	if err != nil {
		return "", fmt.Errorf("cannot stage boot entry: %w", err)
	}
	name := stagedName(files, e, target.ID)
	if err := p.writeStaged(name, e); err != nil {
		return "", fmt.Errorf("cannot stage boot entry: %w", err)
	}
	if err := p.removeStaged(files, name+stagedSuffix); err != nil {
		return "", fmt.Errorf("cannot stage boot entry: %w", err)
	}
	return name, nil
}

// prepareEntries makes the directory of entries, and all entries for
// deployments ours.
func (p *Partition) prepareEntries() ([]EntryFile, error) {
	if err := durable.MkdirAll(p.fs, entriesDir, 0o755); err != nil {
		return nil, err
	}
	if err := p.adopt(); err != nil {
		return nil, err
	}
	return p.Entries()
}

// stagedName returns the name for a new entry: the one it has already if it is
// staged and would not be written differently.
func stagedName(files []EntryFile, e bootentry.Entry, id deployment.ID) string {
	tries := triesFor(files, id)
	for _, f := range files {
		same := f.Staged && f.Err == nil && f.Name.Counted == (tries > 0) && bytes.Equal(f.raw, e.Encode())
		if same && isFirst(files, f.Name) {
			return strings.TrimSuffix(f.File, stagedSuffix)
		}
	}
	return nextName(files, id, tries).String()
}

// isFirst says whether no entry has a higher serial number.
func isFirst(files []EntryFile, n bootentry.Name) bool {
	serial, ours := serialOf(n)
	for _, f := range files {
		if s, ok := serialOf(f.Name); ok && s > serial {
			return false
		}
	}
	return ours
}

func (p *Partition) writeStaged(name string, e bootentry.Entry) error {
	path := entriesDir + "/" + name + stagedSuffix
	if p.exists(path) {
		return nil // stagedName says it is the same
	}
	return durable.WriteFile(p.fs, path, e.Encode())
}

// removeStaged removes staged entries and what a crash left of them, but for
// the one called keep.
func (p *Partition) removeStaged(files []EntryFile, keep string) error {
	for _, f := range files {
		_, ours := serialOf(f.Name)
		staged := f.Staged && (ours || f.IsDeployment())
		if !staged && !f.leftover() || f.File == keep {
			continue
		}
		if err := p.removeEntry(f.File); err != nil {
			return err
		}
	}
	return nil
}

// Unstage removes all staged entries.
func (p *Partition) Unstage() error {
	files, err := p.Entries()
	if err == nil {
		err = p.removeStaged(files, "")
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
// the deployment is what boots next. If it returns nil, this survives a crash;
// with an error, the deployment before is next, unless the error comes from
// writing out what was done. Publishing again what is published does nothing.
func (p *Partition) Publish(name string) error {
	name = strings.TrimSuffix(name, stagedSuffix)
	if err := p.publish(name); err != nil {
		return fmt.Errorf("cannot publish boot entry %s: %w", name, err)
	}
	return nil
}

func (p *Partition) publish(name string) error {
	if strings.ContainsRune(name, '/') {
		return errors.New("it is not a file name")
	}
	staged := p.readEntry(name + stagedSuffix)
	if !p.exists(entriesDir + "/" + name + stagedSuffix) {
		return p.checkPublished(staged.Name)
	}
	if staged.Err != nil {
		return staged.Err
	}
	return p.commit(staged.File, name)
}

// checkPublished returns nil if an entry of this name is there, whatever tries
// the loader has left it by now.
func (p *Partition) checkPublished(n bootentry.Name) error {
	files, err := p.Entries()
	if err != nil {
		return err
	}
	for _, f := range files {
		if !f.Staged && n.Base != "" && f.Name.Base == n.Base {
			return f.Err
		}
	}
	return fmt.Errorf("%w of that name is staged", ErrNoEntry)
}

// commit renames an entry. All it needs is on the disk before, and the rename
// when commit returns: FAT has no journal that would keep the order.
func (p *Partition) commit(from, to string) error {
	if err := durable.Syncfs(p.fs); err != nil {
		return err
	}
	if err := durable.Rename(p.fs, entriesDir+"/"+from, entriesDir+"/"+to); err != nil {
		return err
	}
	return durable.Syncfs(p.fs)
}
