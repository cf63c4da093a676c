// Package boot keeps the boot partition: kernels and boot entries, written
// under names that no loader reads and then renamed, on a file system without
// a journal, links or much room. It hides where the partition is and in which
// order things get there.
package boot

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/durable"
	"github.com/sysupdate-image/sysupdate-image/internal/sys"
)

// What is where on a boot partition.
const (
	entriesDir   = "loader/entries"  // Boot Loader Specification, Type #1
	kernelsDir   = "sysupdate-image" // DIGEST/{vmlinuz,initrd}
	tmpPrefix    = ".tmp-"           // kernelsDir/.tmp-DIGEST: not complete
	stagedSuffix = ".staged"         // of an entry that no loader is to read yet
)

// ErrNoEntry says that there is no boot entry for a deployment.
var ErrNoEntry = errors.New("no boot entry")

// A Partition is where a boot loader finds kernels and boot entries: an EFI
// system partition, an extended boot loader partition, or a directory. All
// methods that change something expect that the caller holds the repository's
// lock. Close it.
type Partition struct {
	name  string
	root  *os.Root
	fs    durable.FS
	mount *os.File // private mount; nil for a directory
	space func() (free, block int64, err error)
}

// OpenDir opens a directory as boot partition, such as a mounted ESP or the
// boot directory of a machine that does not run. The directory must exist.
func OpenDir(dir string) (*Partition, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("cannot open boot partition: %w", err)
	}
	return newPartition(dir, root, nil), nil
}

func newPartition(name string, root *os.Root, mount *os.File) *Partition {
	p := &Partition{name: name, root: root, fs: durable.OS(root), mount: mount}
	p.space = p.statfs
	return p
}

// Close lets go of the partition. A private mount is unmounted.
func (p *Partition) Close() error {
	err := p.root.Close()
	if p.mount != nil {
		err = errors.Join(err, p.mount.Close())
	}
	return err
}

// String returns what people call the partition: its device or directory.
func (p *Partition) String() string { return p.name }

// Root returns the partition's root directory, which Close closes.
func (p *Partition) Root() *os.Root { return p.root }

func (p *Partition) statfs() (free, block int64, err error) {
	dir, err := p.root.Open(".")
	if err != nil {
		return 0, 0, err
	}
	defer dir.Close()
	return sys.Space(dir)
}

// FreeBytes returns how many bytes can still be written to the partition.
func (p *Partition) FreeBytes() (int64, error) {
	free, _, err := p.space()
	if err != nil {
		return 0, fmt.Errorf("cannot tell the room on %s: %w", p, err)
	}
	return free, nil
}

// readDir returns the names in a directory, none if it does not exist.
func (p *Partition) readDir(name string) ([]fs.DirEntry, error) {
	list, err := fs.ReadDir(p.root.FS(), name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return list, err
}

func (p *Partition) exists(name string) bool {
	_, err := p.root.Lstat(name)
	return err == nil
}

// isFile says whether the loader would find a file with content there.
func (p *Partition) isFile(name string) bool {
	info, err := p.root.Stat(name)
	return err == nil && info.Mode().IsRegular() && info.Size() > 0
}

// relative returns a path from a boot entry as the partition's root has it.
func relative(path string) string {
	return strings.TrimLeft(strings.ReplaceAll(path, `\`, "/"), "/")
}
