// Package repo manages the repository: the directory that keeps file contents, images and
// layers, each under its fs-verity digest. It hides the layout, which is that of
// composefs-rs (docs/formats/composefs.md, section 3), how contents get their names, and
// the order in which they become visible: everything that can be found in a repository is
// complete, even after a crash.
//
// Several goroutines may use a Repository at once. Programs use Lock: hold it shared to
// write, and exclusively to remove anything.
package repo

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/repo/objects"
	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
)

var (
	// ErrNotARepository says that there is no repository at a place.
	ErrNotARepository = errors.New("not a repository")

	// ErrBusy says that another program has locked the repository.
	ErrBusy = errors.New("repository is in use")

	// ErrDamaged says that an object is not what its name promises.
	ErrDamaged = objects.ErrDamaged
)

// Names in a repository.
const (
	objectsDir = "objects"
	imagesDir  = "images"
	streamsDir = "streams"
	refsName   = "refs" // in images and streams
	ociRefs    = streamsDir + "/" + refsName + "/oci"

	dirPerm = 0o755 // the repository's own is 0700
)

// Options say how to make a repository.
type Options struct {
	Algorithm digest.Algorithm // names the objects; default SHA512

	// Insecure makes a repository whose objects fs-verity does not protect. By
	// default that depends on what the file system can do.
	Insecure bool

	// RequireVerity makes it an error if the file system has no fs-verity.
	RequireVerity bool
}

// A Repository is an open repository.
type Repository struct {
	dir     *os.File
	objects *os.File
	root    *os.Root
	changes durable.FS
	temps   tempDir // of objects
	reserve reserve

	algorithm     digest.Algorithm
	insecure      bool
	formatVersion int
	readOnly      []string // features that do not let this program write

	exclusive atomic.Int32 // exclusive locks held
	buffers   sync.Pool    // *[]byte of objectBuffer
}

// Init opens the repository in dir, and makes it if there is none. It completes
// one whose making was interrupted, and changes nothing of one that is there.
// The parent directory must exist. It is an error if a repository that is there
// contradicts the options.
func Init(dir string, opts Options) (*Repository, error) {
	parent, name, err := openParent(dir)
	if err != nil {
		return nil, fmt.Errorf("cannot make repository %s: %w", dir, err)
	}
	defer parent.Close()
	return InitIn(parent, name, opts)
}

// InitIn is Init for a directory that is called name in parent, as for OpenIn.
func InitIn(parent *os.Root, name string, opts Options) (*Repository, error) {
	dir := filepath.Join(parent.Name(), name)
	if err := initialize(parent, name, opts); err != nil {
		return nil, fmt.Errorf("cannot make repository %s: %w", dir, err)
	}
	r, err := OpenIn(parent, name)
	if err != nil {
		return nil, err
	}
	if err := r.fits(opts); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot use repository %s: %w", dir, err), r.Close())
	}
	return r, nil
}

func (r *Repository) open() (err error) {
	if r.dir, err = r.root.Open("."); err != nil {
		return err
	}
	r.changes = durable.OSWith(r.root, r.dir)
	r.reserve.dir = r.dir
	r.objects, err = r.root.Open(objectsDir)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := r.root.Lstat(metadataName); err == nil {
			return fmt.Errorf("%w yet: it has metadata, and nothing else", ErrNotARepository)
		}
		return ErrNotARepository
	}
	if err != nil {
		return err
	}
	m, insecure, err := findMetadata(r.dir, r.objects)
	if err != nil {
		return err
	}
	r.insecure = insecure
	r.temps = tempDir{File: r.dir}
	if !insecure {
		if r.temps, err = newTempDir(r.dir); err != nil {
			return err
		}
	}
	if r.algorithm, err = m.algorithm(); err != nil {
		return err
	}
	if r.formatVersion, err = m.formatVersion(); err != nil {
		return err
	}
	r.readOnly = m.unknownReadOnly()
	return nil
}

// Close closes the repository. Locks stay until they are undone.
func (r *Repository) Close() error {
	var errs []error
	for _, f := range []*os.File{r.dir, r.objects} {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	return errors.Join(append(errs, r.root.Close())...)
}

// Algorithm returns whose digests name the objects.
func (r *Repository) Algorithm() digest.Algorithm { return r.algorithm }

// Insecure reports whether the repository does without fs-verity: what is read
// from it is then only as good as the disk.
func (r *Repository) Insecure() bool { return r.insecure }

// FormatVersion returns the version of the images in the repository: 0, 1 or 2,
// as in docs/formats/composefs.md, section 1.
func (r *Repository) FormatVersion() int { return r.formatVersion }

// Sync makes everything that has been written to the repository, or to another
// part of its file system, survive a crash.
func (r *Repository) Sync() error {
	return durable.Syncfs(r.changes)
}

// writable returns an error if this program does not know the repository well
// enough to write to it.
func (r *Repository) writable() error {
	if len(r.readOnly) > 0 {
		return fmt.Errorf("cannot write to the repository: it has features not known here: %q", r.readOnly)
	}
	return nil
}

func (r *Repository) fits(opts Options) error {
	switch {
	case opts.Algorithm != 0 && opts.Algorithm != r.algorithm:
		return fmt.Errorf("it has %s digests, not %s", r.algorithm, opts.Algorithm)
	case opts.RequireVerity && r.insecure:
		return errors.New("it does not use fs-verity")
	}
	return nil
}

// initialize makes the directories, and meta.json last: it makes a directory a
// repository.
func initialize(parent *os.Root, name string, opts Options) error {
	if opts.Algorithm == 0 {
		opts.Algorithm = digest.SHA512
	}
	if err := durable.MkdirAll(durable.OS(parent), name, 0o700); err != nil {
		return err
	}
	root, err := parent.OpenRoot(name)
	if err != nil {
		return err
	}
	defer root.Close()
	for _, name := range []string{objectsDir, imagesDir, streamsDir} {
		_, err := root.Lstat(name)
		found, err := bounded.Found(err)
		if err != nil {
			return err
		}
		if found {
			continue
		}
		if err := durable.MkdirAll(durable.OS(root), name, dirPerm); err != nil {
			return err
		}
	}
	// composefs-rs begins with the metadata, and makes directories when it needs
	// them.
	_, err = root.Lstat(metadataName)
	if found, err := bounded.Found(err); found || err != nil {
		return err
	}
	if err := root.Chmod(".", topPerm); err != nil { // it may have been there
		return err
	}
	return initMetadata(root, opts)
}
