package boot

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bootcount"
	"github.com/sysupdate-image/sysupdate-image/internal/format/bootentry"
	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/kcmdline"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/records"
)

// errForeign reports an attempt to change the entry of another system.
var errForeign = errors.New("it belongs to another system on the boot partition")

// ownEntries returns the names of the entries that the machine wrote. known is false if
// there is no record of them, or the caller may not read it.
func (p *Partition) ownEntries() (bases []string, known bool, err error) {
	bases, known, err = p.readRecord()
	if errors.Is(err, fs.ErrPermission) { // nor can they change anything
		return nil, false, nil
	}
	if err != nil || !known && !p.claiming {
		return nil, false, err
	}
	for _, base := range p.claimed {
		if !slices.Contains(bases, base) {
			bases = append(bases, base)
		}
	}
	return bases, true, nil
}

// readRecord returns what is in the record, without what Claim found.
func (p *Partition) readRecord() (bases []string, known bool, err error) {
	if p.machine == nil {
		return nil, false, nil
	}
	bases, err = records.LoadEntries(p.machine.FS())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("cannot read the record of boot entries: %w", err)
	}
	return bases, true, nil
}

// Record writes the record of entries if there is none, or if Claim found more entries of
// the machine. The record is durable when Record returns nil.
func (p *Partition) Record() error { return p.record() }

// noteEntry adds an entry to the record before the entry is written. In the other order a
// crash would leave an entry that no machine claims.
func (p *Partition) noteEntry(n bootentry.Name) error { return p.record(n.Base) }

func (p *Partition) record(more ...string) error {
	if p.ledger == nil {
		return nil
	}
	have, exists, err := p.readRecord()
	if err != nil || !exists && !p.claiming {
		return err
	}
	all := slices.Clone(have)
	for _, base := range slices.Concat(p.claimed, more) {
		if !slices.Contains(all, base) {
			all = append(all, base)
		}
	}
	if !exists || len(all) > len(have) {
		if err := p.ledger.SetEntries(all); err != nil {
			return err
		}
	}
	p.claimed, p.claiming = nil, false
	return nil
}

// HadEntry reports whether the machine wrote an entry for a deployment and has not removed
// it, as far as is known: so it does without a record.
func (p *Partition) HadEntry(id deployment.ID) (bool, error) {
	bases, known, err := p.ownEntries()
	return !known || slices.ContainsFunc(bases, func(base string) bool {
		_, prefix, ours := parseBase(base)
		return ours && strings.HasPrefix(string(id), prefix)
	}), err
}

// forgetEntries drops entries from the record that no longer exist, unless their
// deployment stays, by how its ID begins, and has no other. A failure costs nothing.
func (p *Partition) forgetEntries(stays func(id string) bool) {
	have, exists, err := p.readRecord()
	names, dirErr := p.readDir(entriesDir)
	if p.ledger == nil || err != nil || !exists || dirErr != nil {
		return
	}
	there, served := make(map[string]bool), make(map[string]bool)
	for _, name := range names {
		if n, err := bootentry.ParseName(strings.TrimSuffix(name, stagedSuffix)); err == nil {
			_, id, _ := parseBase(n.Base)
			there[n.Base], served[id] = true, true
		}
	}
	left := slices.DeleteFunc(slices.Clone(have), func(base string) bool {
		_, id, ours := parseBase(base)
		return !there[base] && (!ours || served[id] || stays == nil || !stays(id))
	})
	if len(left) < len(have) {
		_ = p.ledger.SetEntries(left)
	}
}

// tellBooted tells a partition how the running machine was booted.
func (m machine) tellBooted(p *Partition) (err error) {
	if p.bootedID, err = m.bootedEntry(); err == nil {
		p.rootArgs, err = m.runningRootArgs()
	}
	return err
}

// bootedEntry returns the ID of the entry that the loader booted, "" if it does not say, or
// nothing that makes sense.
func (m machine) bootedEntry() (string, error) {
	text, err := bootcount.Text(m.root.FS(), "LoaderEntrySelected")
	if errors.Is(err, bootcount.ErrNotText) {
		return "", nil
	}
	if found, err := bounded.Found(err); !found || err != nil {
		return "", err
	}
	name, err := bootentry.ParseName(text)
	if err != nil {
		return "", nil
	}
	return name.ID(), nil
}

// isBooted reports whether the running machine was booted from an entry, which is therefore
// the machine's own: a deployment that is older than the record may have written it. After a
// kexec from another system the entry is that system's, and names another root.
func (p *Partition) isBooted(f EntryFile) bool {
	if p.bootedID == "" || p.rootArgs == nil || f.Staged || f.Name.ID() != p.bootedID {
		return false
	}
	return !f.Entry.IsKernel() || rootArgsOf(f.Entry.Options) == *p.rootArgs
}

// rootArgs are the kernel arguments that name the root file system.
type rootArgs struct{ root, flags string }

func rootArgsOf(cmdline string) rootArgs {
	c := kcmdline.Parse(cmdline)
	root, _ := c.Last("root")
	flags, _ := c.Last("rootflags")
	return rootArgs{root, flags}
}

// runningRootArgs returns those of the running system, nil if they are not known.
func (m machine) runningRootArgs() (*rootArgs, error) {
	text, err := m.read("proc/cmdline")
	if found, err := bounded.Found(err); !found || err != nil {
		return nil, err
	}
	args := rootArgsOf(string(text))
	return &args, nil
}
