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

// Variables of the environment block: the last entry on trial that was booted by its name, its
// tries, and those before it that have none left, each after a space.
const (
	envTrial = "trial"
	envLeft  = "left"
	envSpent = "spent"
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

// WriteFile atomically and durably writes a file. Its directory must exist.
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

// grubCounts has the tries that entries have left by GRUB's count, by their names.
type grubCounts map[string]uint

// readGRUBCounts returns what GRUB has counted; nothing if that cannot be read.
func (p *Partition) readGRUBCounts() grubCounts {
	if !p.grub {
		return nil
	}
	block, err := p.readSmall(GRUBEnv)
	if err != nil {
		return nil
	}
	trial, spent, err := countsIn(block)
	if err != nil {
		return nil
	}
	counts := make(grubCounts)
	for _, name := range spent {
		counts[name] = 0
	}
	left, err := grubenv.Get(block, envLeft)
	if n, errParse := strconv.ParseUint(left, 10, 8); trial != "" && err == nil && errParse == nil {
		counts[trial] = uint(n)
	}
	return counts
}

// CheckGRUBEnv says why GRUB cannot count boots.
func (p *Partition) CheckGRUBEnv() error {
	block, err := p.readSmall(GRUBEnv)
	if err == nil {
		_, _, err = countsIn(block)
	}
	if found, err := bounded.Found(err); err != nil {
		return fmt.Errorf("GRUB cannot count boots: /%s is damaged: %w; the next update replaces it", GRUBEnv, err)
	} else if !found {
		return fmt.Errorf("GRUB cannot count boots: /%s is missing; the next update writes it", GRUBEnv)
	}
	return nil
}

// countsIn returns the names of the entries whose boots are counted in an environment block.
func countsIn(block []byte) (trial string, spent []string, err error) {
	trial, err = grubenv.Get(block, envTrial)
	if err != nil {
		return "", nil, err
	}
	names, err := grubenv.Get(block, envSpent)
	return trial, strings.Fields(names), err
}

// apply gives an entry that GRUB counts the tries that are left.
func (c grubCounts) apply(f *EntryFile) {
	left, counted := c[strings.TrimSuffix(f.File, bootentry.Suffix)]
	if !counted || !f.Name.Counted || f.Staged || left > f.Name.TriesLeft {
		return
	}
	f.Name.TriesDone += f.Name.TriesLeft - left
	f.Name.TriesLeft, f.byGRUB = left, true
}

// tidyGRUBEnv has GRUB count a new entry from the beginning, also one that was there before
// under the same name, and forget those that are gone, for which there is no room. A block that
// is damaged is replaced: GRUB cannot write to it.
func (p *Partition) tidyGRUBEnv(entry string) error {
	if !p.grub {
		return nil
	}
	block, err := bounded.ReadRoot(p.root, GRUBEnv, limits.Record)
	if found, err := bounded.Found(err); err != nil {
		return fmt.Errorf("cannot read what GRUB has counted: %w", err)
	} else if !found {
		block = nil
	}
	trial, spent, err := countsIn(block)
	if err != nil {
		return p.replace(GRUBEnv, grubenv.Empty())
	}
	files, err := p.readDir(entriesDir)
	if err != nil {
		return err
	}
	stays := func(name string) bool {
		return name+bootentry.Suffix != entry && slices.Contains(files, name+bootentry.Suffix)
	}
	values := map[string]string{}
	if trial != "" && !stays(trial) {
		values[envTrial] = ""
	}
	if kept := slices.DeleteFunc(slices.Clone(spent), func(name string) bool { return !stays(name) }); len(kept) < len(spent) {
		values[envSpent] = strings.Join(kept, " ")
	}
	if err := p.setGRUBEnv(block, values); err != nil {
		return fmt.Errorf("cannot reset what GRUB has counted: %w", err)
	}
	return nil
}

// setGRUBEnv sets variables in the environment block.
func (p *Partition) setGRUBEnv(block []byte, values map[string]string) (err error) {
	if len(values) == 0 {
		return nil
	}
	for name, value := range values {
		if block, err = grubenv.Set(block, name, value); err != nil {
			return err
		}
	}
	return p.overwrite(GRUBEnv, block)
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
