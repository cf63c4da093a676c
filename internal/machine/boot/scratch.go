package boot

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
)

// scratchDir is where kernel directories and entries are made, to be moved to
// their places. On FAT two things may come of a power cut while something is made
// there or moved:
//
//   - It has a name but no clusters yet: reading it fails with EIO, and the kernel makes
//     the whole file system read-only.
//   - It has two names, the new one and the old one: removing the old one frees the
//     clusters of the new one.
//
// Directories are moved here to be removed, too: then the first may come of it.
//
// So nothing is touched there that was not made since the last boot. What is older
// takes a name and a cluster until fsck.vfat takes care of it, which leaves the
// clusters to the name that it sees first. It goes through a directory before those
// below it, and through these in the order in which they stand there: so whatever
// things are moved to is made before this.
const scratchDir = kernelsDir + "/.new"

// bootIDFile tells one boot from another, by its first characters; see random(4).
const (
	bootIDFile  = "/proc/sys/kernel/random/boot_id"
	shortBootID = 8
)

// openScratch makes scratchDir if need be, and finds out what is called inScratch.
func (p *Partition) openScratch() error {
	if err := p.readBootID(); err != nil {
		return err
	}
	return p.makeDirs()
}

func (p *Partition) readBootID() error {
	if p.bootID != "" {
		return nil
	}
	id, err := bounded.ReadPath(bootIDFile, limits.Kernel)
	if err != nil {
		return err
	}
	if len(id) < shortBootID {
		return fmt.Errorf("%s is empty", bootIDFile)
	}
	p.bootID = string(id[:shortBootID])
	return nil
}

// inScratch returns where something is made that will be called name. Since the
// last boot nobody but us has made anything of this name, and holds the lock: the
// name tells our machine from another that shares the partition.
func (p *Partition) inScratch(name string) string {
	return path.Join(scratchDir, p.scratchPrefix()+name)
}

// scratchPrefix begins the names of what this machine makes there in this boot.
func (p *Partition) scratchPrefix() string { return p.bootID + p.place + "-" }

// scratchLeftovers returns what was made since the last boot by a program that was
// killed.
func (p *Partition) scratchLeftovers() ([]string, error) {
	if err := p.readBootID(); err != nil {
		return nil, err
	}
	list, err := p.readDir(scratchDir)
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, name := range list {
		// finalize, which is the running machine's, does without the place.
		if strings.HasPrefix(name, p.scratchPrefix()) || strings.HasPrefix(name, p.bootID+"-") {
			paths = append(paths, path.Join(scratchDir, name))
		}
	}
	return paths, nil
}

// toScratch moves a directory to scratchDir, and returns its name there.
func (p *Partition) toScratch(name string) (string, error) {
	if err := p.openScratch(); err != nil {
		return "", err
	}
	temp := p.inScratch(path.Base(name))
	if err := p.removeLeft(temp); err != nil {
		return "", err
	}
	return temp, p.fs.Rename(name, temp)
}

// removeLeft removes what an earlier try has left under a name, if there is anything.
func (p *Partition) removeLeft(name string) error {
	if found, err := p.exists(name); !found || err != nil {
		return err
	}
	return durable.RemoveAll(p.fs, name)
}

// writeEntry atomically and durably replaces the entry with a name.
func (p *Partition) writeEntry(name string, content []byte) error {
	if err := p.writeMenuEntry(name, content); err != nil {
		return err
	}
	return p.replace(path.Join(entriesDir, name), content)
}

// replace atomically and durably replaces a file.
func (p *Partition) replace(name string, content []byte) error {
	if err := p.openScratch(); err != nil {
		return err
	}
	temp := p.inScratch(path.Base(name))
	err := p.writeTemp(temp, content)
	if p.useReserve(err) {
		err = p.writeTemp(temp, content)
	}
	if err != nil {
		return errors.Join(err, durable.Remove(p.fs, temp))
	}
	return durable.Rename(p.fs, temp, name)
}

// writeTemp writes a file in scratchDir, and syncs it.
func (p *Partition) writeTemp(temp string, content []byte) error {
	if err := p.removeLeft(temp); err != nil {
		return err
	}
	if err := p.writeNew(temp, bytes.NewReader(content)); err != nil {
		return err
	}
	return p.fs.Sync(temp)
}

// moveDirs makes a directory with some below it. All of them have durable clusters before
// the directory gets its name.
func (p *Partition) moveDirs(name string, below []string) error {
	if err := p.openScratch(); err != nil {
		return err
	}
	temp := p.inScratch(path.Base(name))
	if err := p.removeLeft(temp); err != nil {
		return err
	}
	for _, dir := range append([]string{"."}, below...) {
		if err := durable.MkdirAll(durable.Unsynced(p.fs), path.Join(temp, dir), 0o755); err != nil {
			return errors.Join(err, durable.RemoveAll(p.fs, temp))
		}
	}
	if err := p.sync(); err != nil {
		return err
	}
	return p.fs.Rename(temp, name)
}
