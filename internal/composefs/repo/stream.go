package repo

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/stream"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
)

// A stream is a layer, or a document, of an OCI image; streams has a link to
// its file, an object, by the name that the stream has in the world, such as
// "oci-layer-sha256:…". A ref is a tag that keeps a stream, and all that it
// refers to, from being collected as garbage.

// PutStream finishes w, writes it to the repository under name, and returns the
// digest of its file when it and every object written before survive a crash.
// A stream that had the name is replaced.
func (r *Repository) PutStream(name string, w *stream.Writer) (digest.Digest, error) {
	if err := checkName(name); err != nil {
		return digest.Digest{}, fmt.Errorf("cannot write stream: %w", err)
	}
	object, err := r.NewObject()
	if err != nil {
		return digest.Digest{}, err
	}
	defer object.Abort()
	if err := w.Finish(object); err != nil {
		return digest.Digest{}, err
	}
	d, err := object.Commit()
	if err != nil {
		return digest.Digest{}, err
	}
	if err := r.publish(d, streamsDir+"/"+name); err != nil {
		return digest.Digest{}, fmt.Errorf("cannot enter stream %s: %w", name, err)
	}
	return d, nil
}

// OpenStream opens a stream. The error is fs.ErrNotExist if it is not there,
// ErrDamaged if fs-verity does not vouch for it. The caller closes the reader.
func (r *Repository) OpenStream(name string) (*stream.Reader, error) {
	d, err := r.StreamDigest(name)
	if err != nil {
		return nil, err
	}
	return r.openStreamFile(name, d)
}

func (r *Repository) openStreamFile(name string, d digest.Digest) (*stream.Reader, error) {
	f, err := r.OpenObject(d)
	if err != nil {
		return nil, fmt.Errorf("cannot open stream %s: %w", name, err)
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("cannot open stream %s: %w", name, err)
	}
	s, err := stream.Open(f, info.Size())
	if err != nil {
		return nil, fmt.Errorf("cannot open stream %s: %w", name, err)
	}
	if s.Algorithm() != r.algorithm {
		s.Close()
		return nil, fmt.Errorf("cannot open stream %s: %w: it has %s digests", name, ErrDamaged, s.Algorithm())
	}
	return s, nil
}

// StreamDigest returns the digest of a stream's file, by which other streams
// refer to it. The error is fs.ErrNotExist if it is not there.
func (r *Repository) StreamDigest(name string) (digest.Digest, error) {
	if err := checkName(name); err != nil {
		return digest.Digest{}, fmt.Errorf("cannot open stream: %w", err)
	}
	d, err := r.linked(streamsDir, name)
	if err != nil {
		return digest.Digest{}, fmt.Errorf("cannot open stream %s: %w", name, err)
	}
	return d, nil
}

// HasStream reports whether a stream is there, whole, and nobody has distrusted its
// file. All its objects then are there, too.
func (r *Repository) HasStream(name string) bool {
	d, err := r.StreamDigest(name)
	if err != nil || !r.trusted(d, -1) {
		return false
	}
	s, err := r.openStreamFile(name, d)
	if err != nil {
		return false
	}
	s.Close()
	return true
}

// Streams returns the names of all streams, sorted.
func (r *Repository) Streams() ([]string, error) {
	links, err := r.links(streamsDir)
	if err != nil {
		return nil, fmt.Errorf("cannot list streams: %w", err)
	}
	return slices.Sorted(maps.Keys(links)), nil
}

// RemoveStream makes a stream unknown; GC removes its content. What is not
// there is no error.
func (r *Repository) RemoveStream(name string) error {
	if err := checkName(name); err != nil {
		return fmt.Errorf("cannot remove stream: %w", err)
	}
	if err := r.writable(); err != nil {
		return err
	}
	return durable.Remove(r.changes, streamsDir+"/"+name)
}

// SetRef makes ref, such as "localhost/os:stable", a tag of the stream, which
// must be there. A ref of that name is moved.
func (r *Repository) SetRef(ref, stream string) error {
	name, err := encodeRef(ref)
	if err != nil {
		return err
	}
	if err := r.writable(); err != nil {
		return err
	}
	if !r.HasStream(stream) {
		return fmt.Errorf("cannot tag stream %s: it is not there", stream)
	}
	if err := durable.MkdirAll(r.changes, ociRefs, dirPerm); err != nil {
		return err
	}
	if err := r.makeLink("../../"+stream, ociRefs+"/"+name); err != nil {
		return fmt.Errorf("cannot tag stream %s: %w", stream, err)
	}
	return nil
}

// RemoveRef removes a tag. What is not there is no error.
func (r *Repository) RemoveRef(ref string) error {
	name, err := encodeRef(ref)
	if err != nil {
		return err
	}
	if err := r.writable(); err != nil {
		return err
	}
	return durable.Remove(r.changes, ociRefs+"/"+name)
}

// Refs returns the streams that are tagged, by tag.
func (r *Repository) Refs() (map[string]string, error) {
	names, err := readNames(r.dir, ociRefs)
	if err != nil {
		return nil, fmt.Errorf("cannot list tags: %w", err)
	}
	refs := make(map[string]string)
	for _, name := range names {
		target, err := r.root.Readlink(ociRefs + "/" + name)
		stream, ok := strings.CutPrefix(target, "../../")
		if err == nil && ok && checkName(stream) == nil {
			refs[decodeRef(name)] = stream
		}
	}
	return refs, nil
}

// encodeRef makes a tag a file name, as composefs-rs does.
func encodeRef(ref string) (string, error) {
	name := strings.NewReplacer("%", "%25", "/", "%2F").Replace(ref)
	if err := checkName(name); err != nil {
		return "", fmt.Errorf("cannot use tag: %w", err)
	}
	return name, nil
}

func decodeRef(name string) string {
	return strings.NewReplacer("%25", "%", "%2F", "/").Replace(name)
}
