package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/digest"
	"github.com/sysupdate-image/sysupdate-image/internal/splitstream"
)

// Roots say what GC keeps, besides what refs lead to.
type Roots struct {
	Images  []string // ids
	Streams []string // names

	// ObjectsOf returns the objects that an image refers to.
	ObjectsOf func(image *os.File) ([]digest.Digest, error)
}

// A Report says what GC has removed, or would remove.
type Report struct {
	Images, Streams []string // ids, names
	Refs            []string // paths below the repository of refs that led nowhere
	Objects         int
	Bytes           int64 // of the objects

	KeptObjects int
}

// GC removes the images that are neither in keep nor referred to, the streams
// that no ref leads to, and the objects that nothing refers to any more. With
// dryRun it only reports; else the caller holds the exclusive lock. If something
// that is to be kept cannot be read, nothing is removed. A GC that was
// interrupted is completed by the next.
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
	if keep.ObjectsOf == nil {
		return Report{}, errors.New("nobody says what is in an image")
	}
	if !dryRun && r.exclusive.Load() == 0 {
		return Report{}, errors.New("the repository is not locked")
	}
	m, err := newMarker(r)
	if err != nil {
		return Report{}, err
	}
	if err := m.mark(ctx, keep); err != nil {
		return Report{}, err
	}
	report := m.report()
	if !dryRun {
		// First what leads to objects, for good: a link that survives a crash
		// must not lead to half of what it promises.
		if err := r.removeLinks(report); err != nil {
			return Report{}, err
		}
		if err := r.CleanUp(); err != nil {
			return Report{}, err
		}
	}
	return report, r.sweep(ctx, m.objects, &report, dryRun)
}

// removeLinks removes refs, images and streams, and makes that survive.
func (r *Repository) removeLinks(report Report) error {
	paths := slices.Clone(report.Refs)
	for _, id := range report.Images {
		paths = append(paths, imagesDir+"/"+id)
	}
	for _, name := range report.Streams {
		paths = append(paths, streamsDir+"/"+name)
	}
	dirs := make(map[string]bool)
	for _, p := range paths {
		if err := ignoreNotExist(r.changes.Remove(p)); err != nil {
			return err
		}
		dirs[path.Dir(p)] = true
	}
	for _, dir := range slices.Sorted(maps.Keys(dirs)) {
		if err := r.changes.Sync(dir); err != nil {
			return err
		}
	}
	return nil
}

// sweep removes the objects that are not live.
func (r *Repository) sweep(ctx context.Context, live map[digest.Digest]bool, report *Report, dryRun bool) error {
	return eachObject(r.objects, func(d digest.Digest) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if live[d] || d.Algorithm() != r.algorithm {
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
	dangling []string                 // refs that lead nowhere

	objects map[digest.Digest]bool // live
	walked  map[digest.Digest]bool // live streams
}

func newMarker(r *Repository) (*marker, error) {
	m := &marker{
		repo:     r,
		byDigest: make(map[digest.Digest]string),
		objects:  make(map[digest.Digest]bool),
		walked:   make(map[digest.Digest]bool),
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
	streams, err := m.refs(streamsDir, m.streams)
	if err != nil {
		return err
	}
	images, err := m.refs(imagesDir, m.images)
	if err != nil {
		return err
	}
	for _, name := range append(streams, keep.Streams...) {
		d, ok := m.streams[name]
		if !ok {
			return fmt.Errorf("stream %s: %w", name, fs.ErrNotExist)
		}
		if err := m.markStream(ctx, d, keep.ObjectsOf); err != nil {
			return err
		}
	}
	for _, id := range append(images, keep.Images...) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := m.markImage(id, keep.ObjectsOf); err != nil {
			return fmt.Errorf("image %s: %w", id, err)
		}
	}
	return nil
}

// refs returns the entries of dir that refs lead to, at any depth, and notes
// those that lead nowhere.
func (m *marker) refs(dir string, entries map[string]digest.Digest) ([]string, error) {
	var found []string
	root := m.repo.root.FS()
	err := fs.WalkDir(root, dir+"/"+refsName, func(p string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || e.Type() != fs.ModeSymlink {
			return err
		}
		target, err := m.repo.root.Readlink(p)
		if err != nil {
			return err
		}
		entry := path.Join(path.Dir(p), target)
		name, _ := strings.CutPrefix(entry, dir+"/")
		d, known := entries[name]
		if known && m.repo.exists(d) {
			found = append(found, name)
			return nil
		}
		if _, err := m.repo.root.Lstat(entry); err == nil && !known {
			return fmt.Errorf("%s leads to %s, which is not known here", p, entry)
		}
		m.dangling = append(m.dangling, p)
		return nil
	})
	return found, err
}

// exists says whether there is a file for the object, good or bad.
func (r *Repository) exists(d digest.Digest) bool {
	_, err := r.root.Lstat(objectsDir + "/" + d.ObjectPath())
	return err == nil
}

// markStream marks a stream with its objects and all that it refers to: streams,
// also those that have lost their names, and images.
func (m *marker) markStream(ctx context.Context, start digest.Digest, objectsOf func(*os.File) ([]digest.Digest, error)) error {
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
		m.objects[d] = true
		if id := d.String(); m.images[id] == d && m.repo.exists(d) {
			if err := m.markImage(id, objectsOf); err != nil {
				return fmt.Errorf("image %s: %w", id, err)
			}
			continue
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
	if !linked && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, splitstream.ErrFormat)) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer s.Close()
	for _, object := range s.ObjectRefs() {
		m.objects[object] = true
	}
	return s.StreamRefs(), nil
}

func (m *marker) markImage(id string, objectsOf func(*os.File) ([]digest.Digest, error)) error {
	f, err := m.repo.OpenImage(id)
	if err != nil {
		return err
	}
	defer f.Close()
	objects, err := objectsOf(f)
	if err != nil {
		return err
	}
	m.objects[m.images[id]] = true
	for _, d := range objects {
		m.objects[d] = true
	}
	return nil
}

// report says which links are dead. An image that a live stream refers to by
// its digest is live.
func (m *marker) report() Report {
	var report Report
	for id, d := range m.images {
		if !m.objects[d] || !m.repo.exists(d) {
			report.Images = append(report.Images, id)
		}
	}
	for name, d := range m.streams {
		if !m.walked[d] {
			report.Streams = append(report.Streams, name)
		}
	}
	report.Refs = m.dangling
	slices.Sort(report.Images)
	slices.Sort(report.Streams)
	slices.Sort(report.Refs)
	return report
}
