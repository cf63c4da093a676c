// Package boot manages the boot partition, on a file system without a journal, links or
// much room. A kernel is complete before any entry refers to it. An entry is written where
// no boot loader looks, and then moved to its place. The package hides where the partition
// is, and in which order files are written to it.
package boot

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
)

// What is where on a boot partition.
const (
	entriesDir   = "loader/entries"  // Boot Loader Specification, Type #1
	kernelsDir   = "sysupdate-image" // DIGEST/{vmlinuz,initrd}
	stagedSuffix = ".staged"         // of an entry that no loader is to read yet
)

// ErrNoEntry says that there is no boot entry for a deployment.
var ErrNoEntry = errors.New("no boot entry")

// A Partition is where a boot loader finds kernels and boot entries: an EFI
// system partition, an extended boot loader partition, or a directory. All
// methods that change something expect that the caller holds the repository's
// lock. Close it.
type Partition struct {
	name string
	root *os.Root
	fs   durable.FS
	// Where the loader reads loader.conf: root, or the EFI system partition beside it; and why
	// that cannot be read.
	settings    *os.Root
	settingsErr error
	esp         *Partition // that partition, nil if it is this one
	dir         *os.File   // the root, kept open for Syncfs
	close       []io.Closer
	space       func() (free, block int64, err error)
	fat         bool // the file system is FAT
	// The boot in which this program runs; "" before readBootID.
	bootID string
	// The machine that boots from it: see Of.
	machine *os.Root // physical root; nil if no machine is known
	host    *os.Root // root directory of the running system
	ledger  Ledger
	// Entries of the machine that Claim found and the record does not have yet. claiming
	// means that there is no record, and that it will have exactly these.
	claimed  []string
	claiming bool
	// On the running machine: the ID of the entry that was booted, and the arguments by which
	// the root was found; "" and nil if they are not known.
	bootedID string
	rootArgs *rootArgs
	place    string            // differs from that of all other machines that are mounted now
	places   map[string]string // directories of kernels by their digests
	// The loader does not count boots. The loader of a machine that is not running is taken
	// to be the one that InstallLoader installs.
	uncounted bool
	grub      bool // GRUB boots the entries; see grub.go
}

// OpenDir opens a directory as boot partition, such as a mounted ESP or the
// boot directory of a machine that does not run. The directory must exist.
func OpenDir(dir string) (*Partition, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("cannot open boot partition: %w", err)
	}
	return newPartition(dir, root, nil)
}

// OpenMount opens a mount that need not be attached anywhere as boot partition, with what
// people call it. The partition takes over the mount, also with an error.
func OpenMount(name string, mount *os.File) (*Partition, error) {
	root, err := os.OpenRoot(fmt.Sprintf("/proc/self/fd/%d", mount.Fd()))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("cannot open boot partition: %w", err), mount.Close())
	}
	return newPartition(name, root, mount)
}

// newPartition takes over root and mount, also with an error.
func newPartition(name string, root *os.Root, mount *os.File) (*Partition, error) {
	p := &Partition{name: name, root: root, settings: root, close: []io.Closer{root}}
	if mount != nil {
		p.close = append(p.close, mount)
	}
	p.space = p.statfs
	var err error
	if p.dir, err = root.Open("."); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot open boot partition: %w", err), p.Close())
	}
	p.close = append(p.close, p.dir)
	p.fs = durable.OSWith(root, p.dir)
	p.fat = p.isFAT()
	if err := p.FindGRUB(); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

// Close lets go of the partition. A private mount is unmounted.
func (p *Partition) Close() error {
	var err error
	for i := len(p.close) - 1; i >= 0; i-- {
		err = errors.Join(err, p.close[i].Close())
	}
	return err
}

// String returns what people call the partition: its device or directory.
func (p *Partition) String() string { return p.name }

// Counts reports whether the loader counts the boots of a deployment on trial, and
// falls back to another one by itself.
func (p *Partition) Counts() bool { return !p.uncounted }

// LoaderPartition returns the EFI system partition of a running machine: the partition itself, or the one
// beside it.
func (p *Partition) LoaderPartition() *Partition {
	if p.esp != nil {
		return p.esp
	}
	return p
}

// Through has all changes from now on go through what wrap makes of the one
// before: a test records or stops them.
func (p *Partition) Through(wrap func(durable.FS) durable.FS) { p.fs = wrap(p.fs) }

// Root returns the partition's root directory, which Close closes.
func (p *Partition) Root() *os.Root { return p.root }

// sync makes everything on the partition survive a crash. Two calls are needed:
// syncfs(2) writes out all there is, but vfat has no sync_fs, so that nobody
// tells the disk to empty its cache. fsync of any file or directory does (see
// fat_file_fsync in the kernel's fs/fat/file.c).
func (p *Partition) sync() error {
	if err := durable.Syncfs(p.fs); err != nil {
		return err
	}
	if err := p.fs.Sync("."); err != nil {
		return fmt.Errorf("cannot sync %s: %w", p, err)
	}
	return nil
}

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

// readDir returns the names in a directory, sorted; none if it does not exist.
func (p *Partition) readDir(name string) ([]string, error) {
	names, err := durable.Names(p.root, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return names, err
}

// exists reports whether there is something of a name. An error means that it could not
// be looked at.
func (p *Partition) exists(name string) (bool, error) {
	_, err := p.root.Lstat(name)
	return bounded.Found(err)
}

// isFile reports whether the loader would find a file with content there.
func (p *Partition) isFile(name string) (bool, error) {
	info, err := p.root.Stat(name)
	found, err := bounded.Found(err)
	return found && info.Mode().IsRegular() && info.Size() > 0, err
}

// Open opens a file by its path in a boot entry.
func (p *Partition) Open(path string) (*os.File, error) { return p.root.Open(Relative(path)) }

// Has reports whether there is a file with content by a path in a boot entry.
func (p *Partition) Has(path string) (bool, error) { return p.isFile(Relative(path)) }

// Relative returns a path from a boot entry as the partition's root has it. It has no
// "..", so that nothing leads out, and two paths of one file differ in case alone.
func Relative(name string) string {
	clean := path.Clean("/" + strings.ReplaceAll(name, `\`, "/"))
	return cmp.Or(strings.TrimPrefix(clean, "/"), ".")
}
