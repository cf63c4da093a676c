package repo

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"strings"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/verity"
	"github.com/sysupdate-image/sysupdate-image/internal/format/cancel"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
)

const (
	objectPerm = 0o644

	// tempPrefix begins the names of what is not at its place yet. They are in
	// the repository's own directory, where nobody takes them for anything.
	tempPrefix = ".new-"
)

// btrfsMagic is what statfs(2) gives as the type of a btrfs.
const btrfsMagic = 0x9123683e

// A tempDir is where files are made that are not at their places yet. Without a
// name (O_TMPFILE) that is faster, but not where fs-verity is enabled for them:
//
// ext4 notes on disk that a file without a name is to be removed. When fs-verity
// cannot be enabled, because the program is killed or the disk full, it forgets in
// memory that it has done so (ext4_end_enable_verity, Linux 6.12 to 6.18). The next
// mount then finds the note, and cuts whatever file has the inode by that time to
// its size: an object loses its Merkle tree.
//
// btrfs does not forget. But it may log a file that is renamed out of a directory
// that was synced, and what it logs says that fs-verity protects the file without
// what protects it: it cannot be opened after a crash.
type tempDir struct {
	*os.File
	named bool
}

// newTempDir makes dir one for files that fs-verity may be enabled for.
func newTempDir(dir *os.File) (tempDir, error) {
	f, err := sys.Statfs(dir)
	return tempDir{dir, f.Type != btrfsMagic}, err
}

// A tempFile is a file that is not at its place yet. It ends with drop, before
// which moveTo or replace gives it its place; what a crash leaves is for CleanUp.
type tempFile struct {
	*os.File // to write to, until it is protected
	dir      tempDir
	name     string // in dir; empty if it has none, or is elsewhere
}

// create makes a file to write to.
func (d tempDir) create() (*tempFile, error) { return d.createFor(".") }

// createFor is create for a file whose place will be in the directory near, below
// d, if that is there. A file without a name is made there: ext4 takes an inode
// near those of the directory, and when many have been removed a short time ago,
// skips all of these, which is slow where all files are made in one.
func (d tempDir) createFor(near string) (*tempFile, error) {
	t := &tempFile{dir: d}
	var err error
	if d.named {
		t.name = tempName()
		t.File, err = sys.Openat(d.File, t.name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, objectPerm)
	} else if t.File, err = sys.Tmpfile(d.File, near, objectPerm); errors.Is(err, fs.ErrNotExist) {
		t.File, err = sys.Tmpfile(d.File, ".", objectPerm)
	}
	if err != nil {
		return nil, err
	}
	if err := t.allowAll(); err != nil {
		t.drop()
		return nil, err
	}
	return t, nil
}

// allowAll undoes what the umask did: who may see the repository may read what is
// in it.
func (t *tempFile) allowAll() error {
	info, err := t.Stat()
	if err != nil || info.Mode().Perm() == objectPerm {
		return err
	}
	return t.Chmod(objectPerm)
}

// copyOf makes a file that has the content of another; where the file system can,
// both have the same blocks. It stops when ctx ends.
func (d tempDir) copyOf(ctx context.Context, from *os.File) (*tempFile, error) {
	t, err := d.create()
	if err != nil {
		return nil, err
	}
	if sys.Clone(t.File, from) == nil {
		return t, nil
	}
	// If the reason is a real error, copying will report it.
	if _, err := io.Copy(t, cancel.Reader(ctx, io.NewSectionReader(from, 0, math.MaxInt64))); err != nil {
		t.drop()
		return nil, err
	}
	return t, nil
}

// moveTo gives the file its name at its place. If that is taken the error is
// fs.ErrExist.
func (t *tempFile) moveTo(dir *os.File, name string) error {
	if t.name == "" {
		return sys.LinkFile(t.File, dir, name)
	}
	return t.rename(dir, name, sys.RenameNoReplace)
}

// replace gives the file the place of the one that is there.
func (t *tempFile) replace(dir *os.File, name string) error {
	if t.name == "" {
		temp := tempName()
		if err := sys.LinkFile(t.File, t.dir.File, temp); err != nil {
			return err
		}
		t.name = temp
	}
	return t.rename(dir, name, 0)
}

func (t *tempFile) rename(dir *os.File, name string, flags uint) error {
	if err := sys.Renameat2(t.dir.File, t.name, dir, name, flags); err != nil {
		return err
	}
	t.name = ""
	return nil
}

// drop closes the file, and removes it if it has not been moved.
func (t *tempFile) drop() {
	t.File.Close() // what mattered has been reported by what wrote or moved it
	if t.name != "" {
		_ = sys.Unlinkat(t.dir.File, t.name) // CleanUp tries again
		t.name = ""
	}
}

// A fork of this process, of another goroutine, holds all files open until it
// executes something, and fs-verity wants no writer.
const (
	busyTries = 3
	busyPause = time.Millisecond
	busyCopy  = 5
)

// protect makes the file one that can only be read, protected by fs-verity.
func (t *tempFile) protect(alg digest.Algorithm) error {
	for try := 0; ; try++ {
		if err := t.reopen(); err != nil {
			return err
		}
		err := enable(t.File, alg)
		if !errors.Is(err, verity.ErrOpenForWriting) || try == busyCopy {
			return err
		}
		// The writer that is in the way stays for long. It has no hold of a copy.
		again, err := t.dir.copyOf(context.Background(), t.File)
		if err != nil {
			return err
		}
		t.drop()
		*t = *again
	}
}

// reopen makes a file that is open for writing one that is open for reading.
func (t *tempFile) reopen() error {
	reader, err := sys.Reopen(t.File, os.O_RDONLY)
	if err != nil {
		return err
	}
	err = t.File.Close()
	t.File = reader
	return err
}

func enable(f *os.File, alg digest.Algorithm) error {
	for range busyTries {
		err := verity.Enable(f, alg)
		if !errors.Is(err, verity.ErrOpenForWriting) {
			return err
		}
		time.Sleep(busyPause)
	}
	return verity.Enable(f, alg)
}

// tempName returns a name that is not taken.
func tempName() string { return tempPrefix + rand.Text() }

// CleanUp removes what programs that were killed have left in the repository.
// The caller holds the exclusive lock and writes nothing meanwhile.
func (r *Repository) CleanUp() error {
	if r.exclusive.Load() == 0 {
		return errors.New("cannot clean up the repository: it is not locked")
	}
	names, err := r.changes.ReadDir(".")
	if err != nil {
		return fmt.Errorf("cannot clean up the repository: %w", err)
	}
	for _, name := range names {
		if !strings.HasPrefix(name, tempPrefix) {
			continue
		}
		if err := r.changes.Remove(name); err != nil {
			return fmt.Errorf("cannot clean up the repository: %w", err)
		}
	}
	return nil
}
