package repo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/stream"
	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
)

// Roots say what GC keeps, besides what refs lead to.
type Roots struct {
	Images  []string // ids
	Streams []string // names
	Without []string // tags that go, and keep nothing

	// EachObject calls visit for each object that an image refers to.
	EachObject func(ctx context.Context, image *os.File, visit func(digest.Digest)) error
}

// A Report says what GC has removed, or would remove.
type Report struct {
	Images, Streams []string // ids, names
	Refs            []string // paths below the repository of refs that led nowhere, or that went
	Objects         int
	Bytes           int64 // of the objects

	KeptObjects int
	Unreadable  []string // ids of images that stay and are damaged: so all objects stay
}

// GC removes the images that are neither in keep nor referred to, the streams
// that no ref leads to, and the objects that nothing refers to any more. With
// dryRun it only reports; else the caller holds the exclusive lock. If an image that
// is to be kept cannot be read, all objects stay; if a stream or a ref cannot,
// nothing is removed. A GC that was interrupted is completed by the next.
func (r *Repository) GC(ctx context.Context, keep Roots, dryRun bool) (Report, error) {
	report, err := r.gc(ctx, keep, dryRun)
	if err != nil {
		return report, fmt.Errorf("cannot collect garbage: %w", err)
	}
	return report, nil
}

func (r *Repository) gc(ctx context.Context, keep Roots, dryRun bool) (Report, error) {
	if err := r.writable(); err != nil {
		return Report{}, err
	}
	if keep.EachObject == nil {
		return Report{}, errors.New("cannot collect garbage: no function to read images")
	}
	if !dryRun && r.exclusive.Load() == 0 {
		return Report{}, errors.New("the repository is not locked")
	}
	m, err := newMarker(r, keep.EachObject)
	if err != nil {
		return Report{}, err
	}
	if err := m.mark(ctx, keep); err != nil {
		return Report{}, err
	}
	report, err := m.report()
	if err != nil {
		return Report{}, err
	}
	if !dryRun {
		// First what leads to objects: a link that survives a crash must not lead
		// to half of what it promises.
		if err := r.removeLinks(ctx, report); err != nil {
			return Report{}, err
		}
		if err := r.CleanUp(); err != nil {
			return Report{}, err
		}
	}
	return report, r.sweep(ctx, m.objects, &report, dryRun)
}

// removeLinks removes refs, images and streams. Nothing is synced: file systems
// that have fs-verity keep a journal or commit all at once, so that no crash leaves
// a link that was removed and not an object that was removed after it. When ctx has
// ended nothing more is removed, nor anything if that was while marking.
func (r *Repository) removeLinks(ctx context.Context, report Report) error {
	paths := slices.Clone(report.Refs)
	for _, id := range report.Images {
		paths = append(paths, imagesDir+"/"+id)
	}
	for _, name := range report.Streams {
		paths = append(paths, streamsDir+"/"+name)
	}
	for _, p := range paths {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := ignoreNotExist(r.changes.Remove(p)); err != nil {
			return err
		}
	}
	return nil
}

// sweep removes the objects that are not live, if it is known which are.
func (r *Repository) sweep(ctx context.Context, live digest.Set, report *Report, dryRun bool) error {
	return eachObject(r.objects, func(d digest.Digest) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if live.Has(d) || d.Algorithm() != r.algorithm || len(report.Unreadable) > 0 {
			report.KeptObjects++
			return nil
		}
		name := objectsDir + "/" + d.ObjectPath()
		info, err := r.root.Lstat(name)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil && !dryRun {
			err = r.changes.Remove(name)
		}
		if err != nil {
			return err
		}
		report.Objects++
		report.Bytes += info.Size()
		return nil
	})
}

// A marker finds what is live.
type marker struct {
	repo     *Repository
	streams  map[string]digest.Digest // all there are, by name
	images   map[string]digest.Digest // likewise, by id
	byDigest map[digest.Digest]string // one name of each stream
	without  map[string]bool          // paths of refs that go
	dangling []string                 // these, and refs that lead nowhere

	eachObject func(context.Context, *os.File, func(digest.Digest)) error // see Roots
	objects    digest.Set                                                 // live
	walked     map[digest.Digest]bool                                     // live streams
	read       map[string]bool                                            // live images, by id
	unreadable []string                                                   // these of them
}

func newMarker(r *Repository, eachObject func(context.Context, *os.File, func(digest.Digest)) error) (*marker, error) {
	m := &marker{
		repo:       r,
		byDigest:   make(map[digest.Digest]string),
		eachObject: eachObject,
		objects:    make(digest.Set),
		walked:     make(map[digest.Digest]bool),
		read:       make(map[string]bool),
	}
	var err error
	if m.streams, err = r.links(streamsDir); err != nil {
		return nil, err
	}
	if m.images, err = r.links(imagesDir); err != nil {
		return nil, err
	}
	for name, d := range m.streams {
		m.byDigest[d] = name
	}
	return m, nil
}

func (m *marker) mark(ctx context.Context, keep Roots) error {
	m.without = make(map[string]bool)
	for _, ref := range keep.Without {
		name, err := encodeRef(ref)
		if err != nil {
			return err
		}
		m.without[ociRefs+"/"+name] = true
	}
	streams, err := m.refs(ctx, streamsDir, m.streams)
	if err != nil {
		return err
	}
	images, err := m.refs(ctx, imagesDir, m.images)
	if err != nil {
		return err
	}
	for _, name := range append(streams, keep.Streams...) {
		d, ok := m.streams[name]
		if !ok {
			return fmt.Errorf("stream %s: %w", name, fs.ErrNotExist)
		}
		if err := m.markStream(ctx, d); err != nil {
			return err
		}
	}
	for _, id := range append(images, keep.Images...) {
		if err := m.markImage(ctx, id); err != nil {
			return fmt.Errorf("image %s: %w", id, err)
		}
	}
	return nil
}

// refs returns the entries of dir that refs lead to, at any depth, and notes
// those that lead nowhere.
func (m *marker) refs(ctx context.Context, dir string, entries map[string]digest.Digest) ([]string, error) {
	var found []string
	root := m.repo.root.FS()
	err := fs.WalkDir(root, dir+"/"+refsName, func(p string, e fs.DirEntry, err error) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || e.Type() != fs.ModeSymlink {
			return err
		}
		if m.without[p] {
			m.dangling = append(m.dangling, p)
			return nil
		}
		target, err := m.repo.root.Readlink(p)
		if err != nil {
			return err
		}
		entry := path.Join(path.Dir(p), target)
		name, _ := strings.CutPrefix(entry, dir+"/")
		d, known := entries[name]
		whole := false
		if known {
			whole, err = m.repo.exists(d)
		} else if _, err = m.repo.root.Lstat(entry); err == nil {
			return fmt.Errorf("%s leads to %s, which is not known here", p, entry)
		} else {
			_, err = bounded.Found(err)
		}
		if err != nil {
			return fmt.Errorf("cannot tell where %s leads: %w", p, err)
		}
		if whole {
			found = append(found, name)
			return nil
		}
		m.dangling = append(m.dangling, p)
		return nil
	})
	return found, err
}

// exists reports whether there is a file for the object, good or bad.
func (r *Repository) exists(d digest.Digest) (bool, error) {
	_, err := r.root.Lstat(objectsDir + "/" + d.ObjectPath())
	return bounded.Found(err)
}

// markStream marks a stream with its objects and all that it refers to: streams,
// also those that have lost their names, and images.
func (m *marker) markStream(ctx context.Context, start digest.Digest) error {
	for todo := []digest.Digest{start}; len(todo) > 0; {
		d := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if m.walked[d] {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		m.walked[d] = true
		m.objects.Add(d)
		if id := d.String(); m.images[id] == d {
			there, err := m.repo.exists(d)
			if err == nil && there {
				err = m.markImage(ctx, id)
			}
			if err != nil {
				return fmt.Errorf("image %s: %w", id, err)
			}
			if there {
				continue
			}
		}
		refs, err := m.walk(d)
		if err != nil {
			return err
		}
		todo = append(todo, refs...)
	}
	return nil
}

// walk marks the objects of a stream and returns what it refers to. What has no
// link in streams may be gone, or be something else than a stream.
func (m *marker) walk(d digest.Digest) ([]digest.Digest, error) {
	name, linked := m.byDigest[d]
	s, err := m.repo.openStreamFile(name, d)
	if !linked && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, stream.ErrFormat)) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer s.Close()
	for object := range s.ObjectRefs() {
		m.objects.Add(object)
	}
	return slices.Collect(s.StreamRefs()), nil
}

// markImage marks an image with its objects. One that is damaged is noted.
func (m *marker) markImage(ctx context.Context, id string) error {
	if m.read[id] {
		return nil
	}
	err := m.readImage(ctx, id)
	if err != nil && (ctx.Err() != nil || errors.Is(err, fs.ErrNotExist)) {
		return err
	}
	if err != nil {
		m.unreadable = append(m.unreadable, id)
	}
	m.read[id] = true
	m.objects.Add(m.images[id])
	return nil
}

func (m *marker) readImage(ctx context.Context, id string) error {
	f, err := m.repo.OpenImage(id)
	if err != nil {
		return err
	}
	defer f.Close()
	return m.eachObject(ctx, f, m.objects.Add)
}

// report says which links are dead. An image that a live stream refers to by
// its digest is live.
func (m *marker) report() (report Report, err error) {
	for id, d := range m.images {
		there := false
		if m.objects.Has(d) {
			if there, err = m.repo.exists(d); err != nil {
				return report, fmt.Errorf("image %s: %w", id, err)
			}
		}
		if !there {
			report.Images = append(report.Images, id)
		}
	}
	for name, d := range m.streams {
		if !m.walked[d] {
			report.Streams = append(report.Streams, name)
		}
	}
	report.Refs = m.dangling
	report.Unreadable = m.unreadable
	slices.Sort(report.Images)
	slices.Sort(report.Streams)
	slices.Sort(report.Refs)
	slices.Sort(report.Unreadable)
	return report, nil
}
