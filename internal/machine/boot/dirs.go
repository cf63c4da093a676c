package boot

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"syscall"

	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
)

// A directory on FAT that takes another cluster may be lost in a power cut: that it
// goes on, and that it ends there, stand in two sectors of the table, and with only
// the first of them the loader and the kernel can read none of it. It never gives a
// cluster back either. So the directories in which something must never be lost get
// all the clusters that they will need while nothing is in them.

// grownDirs are these directories. fsck.vfat goes through them in the order in which
// they are made; see scratchDir.
var grownDirs = [...]string{entriesDir, kernelsDir, scratchDir}

// dirSize is how large they are made, in bytes: names of 80 kernels or entries.
const dirSize = 16 << 10

// fatMagic is FAT's magic number in statfs(2).
const fatMagic = 0x4d44

// Fillers make a directory large. No loader reads files of such names, and they are
// as long as FAT allows: each takes longestDirEntry.
const (
	fillerPrefix = sortKey + "-fill-"
	fillers      = dirSize/longestDirEntry - 1 // with "." and "..", less than one more cluster
)

// A Grown is a directory that has all the clusters that it will need, once files of these
// names were in it.
type Grown struct {
	Dir   string
	Files []string
}

// GrownDirs returns the directories that are made large while they are empty, for a program
// that writes to FAT by other means than a mount.
func GrownDirs() []Grown {
	var all []Grown
	for _, dir := range append(grownDirs[:], GRUBDir) {
		g := Grown{Dir: dir}
		for i := range fillers {
			g.Files = append(g.Files, filler(i))
		}
		all = append(all, g)
	}
	return all
}

// grownDirs are those of the partition.
func (p *Partition) grownDirs() []string {
	if p.grub {
		return append(grownDirs[:], GRUBDir)
	}
	return grownDirs[:]
}

// IsFAT reports whether the partition is a FAT file system.
func (p *Partition) IsFAT() bool { return p.fat }

// isFAT reports whether a directory of the partition grows by clusters.
func (p *Partition) isFAT() bool {
	info, err := sys.Statfs(p.dir)
	return err == nil && info.Type == fatMagic
}

// makeDirs makes those of grownDirs that are missing, and completes what a crash
// left of making them. All of it survives a crash when it returns nil.
func (p *Partition) makeDirs() error {
	changed := false
	for _, dir := range p.grownDirs() {
		names, err := p.readDir(dir)
		if err != nil {
			return err
		}
		found, err := p.exists(dir)
		if err != nil {
			return err
		}
		if found && !slices.ContainsFunc(names, isFiller) {
			continue
		}
		changed = true
		if err := p.makeDir(dir); err != nil {
			return err
		}
	}
	if !changed {
		return nil
	}
	return p.sync()
}

// makeDir makes a directory and those above it, and gives it its size.
func (p *Partition) makeDir(name string) error {
	unsynced := durable.Unsynced(p.fs)
	if err := durable.MkdirAll(unsynced, name, 0o755); err != nil {
		return err
	}
	if !p.fat {
		return nil
	}
	if err := p.fill(unsynced, name); err != nil {
		return fmt.Errorf("cannot make room in directory %s: %w", name, err)
	}
	return nil
}

// fill makes as many files as a directory is to have room for, and removes them.
func (p *Partition) fill(unsynced durable.FS, dir string) error {
	for i := range fillers {
		f, err := unsynced.Create(path.Join(dir, filler(i)), 0o644)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err == nil {
			err = f.Close()
		}
		if err != nil {
			return errors.Join(err, p.empty(unsynced, dir))
		}
	}
	return p.empty(unsynced, dir)
}

func (p *Partition) empty(unsynced durable.FS, dir string) error {
	for i := range fillers {
		if err := durable.Remove(unsynced, path.Join(dir, filler(i))); err != nil {
			return err
		}
	}
	return nil
}

func filler(i int) string { return fmt.Sprintf("%s%0*d", fillerPrefix, 255-len(fillerPrefix), i) }

func isFiller(name string) bool { return strings.HasPrefix(name, fillerPrefix) }

// roomForDirs returns how many bytes the directories take that makeDirs would make.
func (p *Partition) roomForDirs(block int64) (need int64, err error) {
	for _, dir := range p.grownDirs() {
		found, err := p.exists(dir)
		if err != nil {
			return 0, err
		}
		if p.fat && !found {
			need += max(dirSize, block)
		}
	}
	return need, nil
}

// explain says which file system is full, and what to do about an error of the disk,
// or of a file system that a power cut has damaged.
func (p *Partition) explain(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return &FullError{Partition: p.String(), Err: err}
	}
	if !p.fat || !errors.Is(err, syscall.EIO) {
		return err
	}
	return fmt.Errorf("%w (the file system of %s may be damaged: unmount it and run fsck.vfat -a on its device, until that finds nothing)", err, p)
}
