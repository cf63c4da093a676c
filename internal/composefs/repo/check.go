package repo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sync/errgroup"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/stream"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/verity"
	"github.com/sysupdate-image/sysupdate-image/internal/format/bug"
	"github.com/sysupdate-image/sysupdate-image/internal/format/cancel"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
)

// A Flaw is a kind of problem.
type Flaw string

// The flaws that a repository can have.
const (
	DamagedObject     Flaw = "damaged object"     // it is not what its name promises
	UnprotectedObject Flaw = "unprotected object" // it is, but fs-verity does not see to it
	DanglingImage     Flaw = "missing image"      // its link leads to nothing
	DanglingStream    Flaw = "missing stream"     // likewise
	DanglingRef       Flaw = "dangling ref"       // it leads to no image or stream
	BadStream         Flaw = "damaged stream"     // it cannot be read
	IncompleteStream  Flaw = "incomplete stream"  // objects that it consists of are missing
	WrongLink         Flaw = "wrong link"         // an image's name and its digest differ
	WrongMode         Flaw = "wrong mode"
	WrongOwner        Flaw = "wrong owner"
	LeftOver          Flaw = "leftover" // of a program that was killed
)

// A Problem is something wrong with a repository.
type Problem struct {
	Flaw   Flaw          `json:"flaw"`
	Path   string        `json:"path"` // below the repository
	Detail string        `json:"detail,omitempty"`
	Object digest.Digest `json:"-"` // that is damaged, or to which the link leads
}

// String returns the problem as a line.
func (p Problem) String() string {
	if p.Detail == "" {
		return fmt.Sprintf("%s: %s", p.Path, p.Flaw)
	}
	return fmt.Sprintf("%s: %s: %s", p.Path, p.Flaw, p.Detail)
}

// A Check is what was found in a repository.
type Check struct {
	Objects int
	Bytes   int64 // of the objects
	Images  int
	Streams int
	Refs    int

	Problems []Problem // sorted by path

	good digest.Set
}

// HasGood reports whether there is an object that is what its name promises.
func (c *Check) HasGood(d digest.Digest) bool { return c.good.Has(d) }

// A Watcher is told how a check goes. Checked may be called from several goroutines at once.
type Watcher interface {
	// Checking says that objects of so many bytes in all are about to be read.
	Checking(objects int, bytes int64)
	// Checked says that so many more bytes were looked at.
	Checked(bytes int64)
	// CheckDone says that all objects were read, or that the check has failed.
	CheckDone()
}

// Check reads every object of the repository and looks at all that leads to
// one. It changes nothing. The caller holds a lock, so that nothing is removed
// meanwhile. w is told how it goes, unless it is nil. The error says that something
// could not be looked at, apart from what is wrong with the repository.
func (r *Repository) Check(ctx context.Context, w Watcher) (*Check, error) {
	c := checker{repo: r, watcher: w, Check: &Check{good: make(digest.Set)}}
	for _, step := range []func(context.Context) error{c.layout, c.objects, c.links, c.refs} {
		if err := step(ctx); err != nil {
			return nil, fmt.Errorf("cannot check the repository: %w", err)
		}
	}
	slices.SortStableFunc(c.Problems, func(a, b Problem) int { return strings.Compare(a.Path, b.Path) })
	return c.Check, nil
}

type checker struct {
	repo    *Repository
	watcher Watcher // nil for none
	*Check
	mu sync.Mutex // guards Check while objects are read
}

func (c *checker) add(flaw Flaw, path string, object digest.Digest, format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.Problems = append(c.Problems, Problem{flaw, path, fmt.Sprintf(format, args...), object})
}

// layout looks at the directories.
func (c *checker) layout(context.Context) error {
	top, err := c.repo.changes.ReadDir(".")
	if err != nil {
		return err
	}
	for _, name := range top {
		if strings.HasPrefix(name, tempPrefix) {
			c.add(LeftOver, name, digest.Digest{}, "")
		}
	}
	dirs := []string{".", objectsDir, imagesDir, streamsDir}
	names, err := readNames(c.repo.objects, ".")
	if err != nil {
		return err
	}
	for _, name := range names {
		if len(name) == 2 {
			dirs = append(dirs, objectsDir+"/"+name)
		}
	}
	for _, dir := range dirs {
		info, err := c.repo.root.Lstat(dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue // old programs make a directory when they need it
		}
		if err != nil {
			return err
		}
		if info.IsDir() {
			c.access(dir, info)
		}
	}
	return nil
}

// objects reads all objects, several at once.
func (c *checker) objects(ctx context.Context) error {
	if c.watcher != nil {
		count, bytes, err := c.repo.size(ctx)
		if err != nil {
			return err
		}
		c.watcher.Checking(count, bytes)
		defer c.watcher.CheckDone()
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	err := eachObject(c.repo.objects, func(d digest.Digest) error {
		if d.Algorithm() == c.repo.algorithm && ctx.Err() == nil {
			group.Go(func() error { return bug.Catch(func() error { return c.object(ctx, d) }) })
		}
		return ctx.Err()
	})
	return errors.Join(group.Wait(), err)
}

// size returns how many objects there are, and of how many bytes. What cannot be looked at has
// none.
func (r *Repository) size(ctx context.Context) (count int, bytes int64, err error) {
	err = eachObject(r.objects, func(d digest.Digest) error {
		if d.Algorithm() != r.algorithm {
			return nil
		}
		if n, err := r.ObjectSize(d); err == nil {
			bytes += n
		}
		count++
		return ctx.Err()
	})
	return count, bytes, err
}

func (c *checker) object(ctx context.Context, d digest.Digest) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	name := objectsDir + "/" + d.ObjectPath()
	f, err := c.repo.openFile(d)
	switch {
	case errors.Is(err, ErrDamaged):
		c.add(DamagedObject, name, d, "%v", err)
		return nil
	case err != nil:
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.Objects++
	c.Bytes += info.Size()
	c.mu.Unlock()
	if c.watcher != nil {
		defer c.watcher.Checked(info.Size())
	}
	if mode := info.Mode().Perm(); mode != objectPerm {
		c.add(WrongMode, name, d, "%04o, want %04o", mode, objectPerm)
	}
	if err := checkHoles(info); err != nil {
		c.add(DamagedObject, name, d, "%v", err)
		return nil
	}
	got, err := c.measure(ctx, f, d)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, verity.ErrNotEnabled):
		c.add(UnprotectedObject, name, d, "fs-verity is not enabled")
	case err != nil:
		c.add(DamagedObject, name, d, "%v", err)
		return nil
	case got != d:
		c.add(DamagedObject, name, d, "its fs-verity digest is %s", got)
		return nil
	}
	c.mu.Lock()
	c.good.Add(d)
	c.mu.Unlock()
	return nil
}

// checkHoles returns an error for a file that no image has: one of a tebibyte without
// any data would take hours to read.
func checkHoles(info fs.FileInfo) error {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	const block = 512
	return limits.Sparse.Check(info.Size() - stat.Blocks*block)
}

// measure returns the digest of an object, all of which it reads if that is d. The error is
// verity.ErrNotEnabled if the content is right, but not protected as it should
// be. With fs-verity, what is damaged cannot be read.
func (c *checker) measure(ctx context.Context, f *os.File, d digest.Digest) (digest.Digest, error) {
	if c.repo.insecure {
		got, _, err := verity.SumReader(d.Algorithm(), cancel.Reader(ctx, f))
		return got, err
	}
	got, err := verity.Measure(f)
	if errors.Is(err, verity.ErrNotEnabled) {
		hashed, _, hashErr := verity.SumReader(d.Algorithm(), cancel.Reader(ctx, f))
		if hashErr != nil || hashed != d {
			return hashed, hashErr
		}
		return got, err
	}
	if err == nil && got == d {
		_, err = io.CopyBuffer(struct{ io.Writer }{io.Discard}, cancel.Reader(ctx, f), make([]byte, objectBuffer))
	}
	return got, err
}

// links looks at images and streams.
func (c *checker) links(ctx context.Context) error {
	for _, dir := range []string{imagesDir, streamsDir} {
		names, err := readNames(c.repo.dir, dir)
		if err != nil {
			return err
		}
		for _, name := range names {
			if err := ctx.Err(); err != nil {
				return err
			}
			if name == refsName {
				continue
			}
			c.link(dir, name)
		}
	}
	return nil
}

func (c *checker) link(dir, name string) {
	p := path.Join(dir, name)
	d, err := c.repo.linked(dir, name)
	there := false
	if err == nil {
		there, err = c.repo.exists(d)
	}
	missing, count := DanglingImage, &c.Images
	if dir == streamsDir {
		missing, count = DanglingStream, &c.Streams
	}
	*count++
	switch {
	case err != nil:
		c.add(WrongLink, p, d, "%v", err)
	case !there:
		c.add(missing, p, d, "object %s is not there", d)
	case dir == imagesDir && name != d.String():
		c.add(WrongLink, p, d, "it leads to object %s", d)
	case dir == streamsDir:
		c.stream(p, name, d)
	}
}

// stream looks at the objects of a stream.
func (c *checker) stream(p, name string, d digest.Digest) {
	s, err := c.repo.openStreamFile(name, d)
	if err != nil {
		if errors.Is(err, stream.ErrFormat) || c.good.Has(d) {
			c.add(BadStream, p, d, "%v", err)
		}
		return // else the object is a problem already
	}
	defer s.Close()
	lacking, first := 0, digest.Digest{}
	for object := range s.ObjectRefs() {
		if c.good.Has(object) {
			continue
		}
		if lacking++; lacking == 1 {
			first = object
		}
	}
	if lacking > 0 {
		c.add(IncompleteStream, p, d, "%d of its objects cannot be used, the first is %s", lacking, first)
	}
}

// refs looks at names that keep images and streams.
func (c *checker) refs(context.Context) error {
	for _, dir := range []string{imagesDir, streamsDir} {
		err := fs.WalkDir(c.repo.root.FS(), dir+"/"+refsName, func(p string, e fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil || e.Type() != fs.ModeSymlink {
				return err
			}
			c.Refs++
			target, err := c.repo.root.Readlink(p)
			if err != nil {
				return err
			}
			entry := path.Join(path.Dir(p), target)
			if _, err := c.repo.root.Lstat(entry); err != nil {
				c.add(DanglingRef, p, digest.Digest{}, "%s is not there", entry)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// DanglingRefs returns the refs that lead to nothing, without reading anything
// else: a repair may have left some.
func (r *Repository) DanglingRefs() ([]Problem, error) {
	c := checker{repo: r, Check: &Check{}}
	if err := c.refs(context.Background()); err != nil {
		return nil, fmt.Errorf("cannot check the repository: %w", err)
	}
	return c.Problems, nil
}
