package boot

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bootentry"
	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/grubenv"
	"github.com/sysupdate-image/sysupdate-image/internal/format/grubscript"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
)

// GRUB reads no boot entries, or not all that they say. So each entry of ours has a menu entry
// of its configuration, by the entry's name without tries, which is complete before the entry
// is. The configuration goes through the names of the entries: these alone decide which
// menu entries count, and publishing an entry stays the one commit point.
//
// An entry's name has the tries that it was given. How many are left is in the environment
// block, where GRUB writes it before it boots the entry.

// GRUBDir is where GRUB's configuration is on the partition with the boot entries.
const GRUBDir = "loader/grub"

// Files in GRUBDir.
const (
	GRUBConfig      = GRUBDir + "/grub.cfg"
	GRUBEnv         = GRUBDir + "/grubenv"
	menuEntrySuffix = ".cfg"
)

// Variables of the environment block: the entry on trial by its name, and its tries.
const (
	envTrial = "trial"
	envLeft  = "left"
)

// UseGRUB has entries written for GRUB too, on a partition where it is about to be installed,
// and makes what it counts in.
func (p *Partition) UseGRUB() error {
	p.grub, p.uncounted = true, false
	if err := p.makeDirs(); err != nil {
		return err
	}
	if found, err := p.exists(GRUBEnv); found || err != nil {
		return err
	}
	return p.WriteFile(GRUBEnv, grubenv.Empty())
}

// NobodyCounts says that no loader boots the entries of a partition that is about to be used.
func (p *Partition) NobodyCounts() { p.uncounted = true }

// FindGRUB finds out whether GRUB boots the entries, on a partition that was filled since it was
// opened.
func (p *Partition) FindGRUB() (err error) {
	if p.grub, err = p.exists(GRUBConfig); err != nil {
		return fmt.Errorf("cannot look for GRUB on %s: %w", p, err)
	}
	return nil
}

// HasGRUB reports whether GRUB boots the entries of the partition.
func (p *Partition) HasGRUB() bool { return p.grub }

// WriteFile atomically and durably writes a file, whose directory there is.
func (p *Partition) WriteFile(name string, content []byte) error {
	return p.replace(name, content)
}

// MakeDir durably makes a directory, and those above it.
func (p *Partition) MakeDir(name string) error {
	if parent := path.Dir(name); parent != "." {
		if err := p.MakeDir(parent); err != nil {
			return err
		}
	}
	return p.moveDirsOnce(name, nil)
}

// readGRUBEnv returns the name of the entry that GRUB counts, and the tries that are left; ""
// if it has counted nothing, or that cannot be read.
func (p *Partition) readGRUBEnv() (trial string, left uint) {
	if !p.grub {
		return "", 0
	}
	block, err := p.readSmall(GRUBEnv)
	if err != nil {
		return "", 0
	}
	trial, err = grubenv.Get(block, envTrial)
	if err != nil {
		return "", 0
	}
	text, err := grubenv.Get(block, envLeft)
	if err != nil {
		return "", 0
	}
	n, err := strconv.ParseUint(text, 10, 8)
	if err != nil {
		return "", 0
	}
	return trial, uint(n)
}

// countedByGRUB gives the entry that GRUB counts the tries that are left.
func (f *EntryFile) countedByGRUB(trial string, left uint) {
	if !f.Name.Counted || f.Staged || trial == "" || f.File != trial+bootentry.Suffix || left > f.Name.TriesLeft {
		return
	}
	f.Name.TriesDone += f.Name.TriesLeft - left
	f.Name.TriesLeft, f.byGRUB = left, true
}

// forgetTrial has GRUB count a new entry from the beginning, also one that was there before
// under the same name.
func (p *Partition) forgetTrial(entry string) error {
	if trial, _ := p.readGRUBEnv(); trial == "" || trial+bootentry.Suffix != entry {
		return nil
	}
	block, err := bounded.ReadRoot(p.root, GRUBEnv, limits.Record)
	if err == nil {
		block, err = grubenv.Set(block, envTrial, "")
	}
	if err == nil {
		err = p.overwrite(GRUBEnv, block)
	}
	if err != nil {
		return fmt.Errorf("cannot reset what GRUB has counted: %w", err)
	}
	return nil
}

// overwrite writes a file in place, as GRUB itself does. What matters is in its first sector.
func (p *Partition) overwrite(name string, data []byte) error {
	f, err := p.root.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(data, 0)
	return errors.Join(err, f.Sync(), f.Close())
}

// menuEntryOf returns the path of the menu entry for a boot entry.
func menuEntryOf(n bootentry.Name) string { return path.Join(GRUBDir, n.Base+menuEntrySuffix) }

// writeMenuEntry writes what GRUB reads of an entry, unless it is there.
func (p *Partition) writeMenuEntry(name string, content []byte) error {
	if !p.grub {
		return nil
	}
	n, err := bootentry.ParseName(name)
	if err != nil {
		return err
	}
	e, err := bootentry.Parse(content)
	if err != nil {
		return err
	}
	text, err := grubscript.MenuEntry(n.Base, e)
	if err != nil {
		return err
	}
	if old, err := p.readSmall(menuEntryOf(n)); err == nil && string(old) == text {
		return nil
	}
	return p.replace(menuEntryOf(n), []byte(text))
}

// dropMenuEntries removes what GRUB would read of entries that are no longer there. What stays
// costs room alone.
func (p *Partition) dropMenuEntries() {
	if !p.grub {
		return
	}
	names, err := p.readDir(GRUBDir)
	entries, entriesErr := p.readDir(entriesDir)
	if err != nil || entriesErr != nil {
		return
	}
	for _, name := range names {
		base, ok := strings.CutSuffix(name, menuEntrySuffix)
		if _, _, ours := parseBase(base); !ok || !ours {
			continue
		}
		isOf := func(file string) bool { return strings.HasPrefix(file, base+".") || strings.HasPrefix(file, base+"+") }
		if !slices.ContainsFunc(entries, isOf) {
			_ = p.fs.Remove(path.Join(GRUBDir, name))
		}
	}
}

// CheckMenuEntry says why GRUB would not boot an entry of ours, nil if it would or the entry is
// another's.
func (p *Partition) CheckMenuEntry(f EntryFile) error {
	if _, ours := serialOf(f.Name); !p.grub || !ours || f.Staged {
		return nil
	}
	name := menuEntryOf(f.Name)
	have, err := p.readSmall(name)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("GRUB has no menu entry for it: /%s is missing", name)
	}
	if err != nil {
		return err
	}
	want, err := grubscript.MenuEntry(f.Name.Base, f.Entry)
	if err == nil && string(have) != want {
		err = fmt.Errorf("GRUB would boot something else: /%s was changed", name)
	}
	return err
}
