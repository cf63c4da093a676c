package boot

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
)

// Several systems may share a boot partition. What belongs to one of them is known by
// what it has on its own root file system, never by how a file on the partition looks:
//
//   - A boot entry is that of the machine whose state or repository has the deployment, and
//     if its name is of our form, whose record has that name: two systems may have been made
//     from one image. To all others it is foreign: Entries tells what it boots, but it is no
//     deployment. Without a record, as earlier versions left it, the deployment decides.
//   - A kernel is that of the machine whose Ledger has it, or whose boot entry names it.
//     Of the kernels that nothing names, others may be about to be named.
//   - What is being made in scratchDir has the machine's root in its name.

// A Ledger is the machine's record of what it wrote to the partition: kernels by their
// paths there, and entries by their names without tries and suffix, which are read from
// deployment.EntriesRecord. It survives crashes.
type Ledger interface {
	Kernels() ([]string, error)
	SetKernels(paths []string) error
	SetEntries(bases []string) error
	// Tag returns a few letters or digits, others each time.
	Tag() string
}

// Of makes the partition that of the machine with this physical root. Host is the root
// directory of the running system, whose devices tell where entries lead; with nil they tell
// nothing. Both stay the caller's, and open as long as the partition is. Find and FindIn do
// so, but without a ledger: then kernels that no entry names stay. On a partition without a
// known machine, nothing is foreign.
func (p *Partition) Of(host, root *os.Root, ledger Ledger) *Partition {
	p.host, p.machine, p.ledger = host, root, ledger
	if dir, err := root.Open("."); err == nil {
		defer dir.Close()
		if stat, err := sys.Statx(dir, ""); err == nil {
			p.place = fmt.Sprintf(".%x.%x.%x", stat.DevMajor, stat.DevMinor, stat.Inode)
		}
	}
	return p
}

// An inventory is what the machine has: its deployments, if they are known, and the entries
// that it wrote, if there is a record of them.
type inventory struct {
	known    bool
	ids      []deployment.ID
	recorded bool
	entries  []string
	isBooted func(EntryFile) bool // reports whether the running machine was booted from it
}

// inventory returns the deployments that have a state directory or an image. They are
// not known to somebody who may not look into the repository, nor change anything then.
func (p *Partition) inventory() (o inventory, err error) {
	if p.machine == nil {
		return o, nil
	}
	if o.entries, o.recorded, err = p.ownEntries(); err != nil {
		return o, fmt.Errorf("cannot tell whose they are: %w", err)
	}
	o.known, o.isBooted = true, p.isBooted
	for _, dir := range []string{deployment.DeployDir, deployment.RepositoryDir + "/images"} {
		names, err := durable.Names(p.machine, dir)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case errors.Is(err, fs.ErrPermission):
			return inventory{}, nil
		case err != nil:
			return o, fmt.Errorf("cannot tell whose they are: %w", err)
		}
		for _, name := range names {
			if id, err := deployment.ParseID(name); err == nil {
				o.ids = append(o.ids, id)
			}
		}
	}
	return o, nil
}

// has reports whether one of the deployments has an ID that begins so.
func (o inventory) has(prefix string) bool {
	for _, id := range o.ids {
		if strings.HasPrefix(string(id), prefix) {
			return true
		}
	}
	return !o.known
}

// disown makes an entry foreign if the machine has nothing of what it boots, or did not
// write it. Of an entry that cannot be read, the name tells.
func (o inventory) disown(f *EntryFile) {
	id := string(f.Target.ID)
	_, prefix, ours := parseBase(f.Name.Base)
	if ours && id == "" && f.Err != nil {
		id = prefix
	}
	unwritten := ours && o.recorded && !slices.Contains(o.entries, f.Name.Base) && !o.isBooted(*f)
	if unwritten || id != "" && !o.has(id) {
		f.Foreign, f.Target = true, deployment.Target{}
	}
}

// kernels returns what the ledger has. Where there is no ledger, none is the machine's.
func (p *Partition) kernels() []string {
	if p.ledger == nil {
		return nil
	}
	paths, err := p.ledger.Kernels()
	if err != nil {
		return nil // what cannot be told to be ours stays
	}
	return paths
}

// wrote reports whether the machine is known to have written a kernel.
func (p *Partition) wrote(path string) bool {
	return p.machine == nil || slices.Contains(p.kernels(), path)
}

// note adds kernels to the ledger, before anything is done after which nothing else
// might tell whose they are.
func (p *Partition) note(paths ...string) error {
	if p.ledger == nil {
		return nil
	}
	have, err := p.ledger.Kernels()
	if err != nil {
		return err
	}
	all := slices.Clone(have)
	for _, path := range paths {
		if !slices.Contains(all, path) && !strings.HasPrefix(path, scratchDir+"/") {
			all = append(all, path)
		}
	}
	if len(all) == len(have) {
		return nil
	}
	return p.ledger.SetKernels(all)
}

// forget drops what no longer exists from the ledger. A failure costs nothing.
func (p *Partition) forget(stays func(id string) bool) {
	p.forgetEntries(stays)
	have := p.kernels()
	left := slices.DeleteFunc(slices.Clone(have), func(path string) bool {
		_, err := p.root.Lstat(path)
		return errors.Is(err, fs.ErrNotExist)
	})
	if len(left) < len(have) {
		_ = p.ledger.SetKernels(left)
	}
}
