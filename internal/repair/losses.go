package repair

import (
	"slices"
	"strings"

	godigest "github.com/opencontainers/go-digest"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/repo"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
	"github.com/sysupdate-image/sysupdate-image/internal/image/layer"
	"github.com/sysupdate-image/sysupdate-image/internal/image/oci"
)

// A fetch is what is to be asked for again at an origin.
type fetch struct {
	Origin
	documents documents // as they are kept
	known     bool      // the documents are; else the origin says what its layers are
	layers    []oci.Layer
}

// losses are what is not whole in a repository.
type losses struct {
	layers  map[godigest.Digest]bool            // diff_ids of layers that are not whole
	holders map[digest.Digest][]godigest.Digest // layers by the objects that they consist of
	streams map[digest.Digest]string            // names of streams by their files
	fetches []fetch
	unread  bool                   // something could not be read: what it needs is not known
	needed  map[digest.Digest]bool // objects that images and streams need
}

// findLosses finds out what is lost, and where it can be fetched again. It reads
// the repository only.
func (r *run) findLosses(origins []Origin) (*losses, error) {
	l := &losses{
		layers:  make(map[godigest.Digest]bool),
		holders: make(map[digest.Digest][]godigest.Digest),
		streams: make(map[digest.Digest]string),
		needed:  make(map[digest.Digest]bool),
	}
	names, err := r.repo.Streams()
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		r.lookIntoStream(l, name)
	}
	ids, err := r.repo.Images()
	if err != nil {
		return nil, err
	}
	incomplete := make(map[string]bool)
	for _, id := range ids {
		incomplete[id] = !r.isComplete(l, id)
	}
	for _, o := range origins {
		lacking, there := incomplete[o.Deployment]
		if f, needed := r.fetchFrom(l, o, lacking || !there); needed {
			l.fetches = append(l.fetches, f)
		}
	}
	return l, nil
}

// lookIntoStream notes what a stream needs, and if it is a layer that is not
// whole.
func (r *run) lookIntoStream(l *losses, name string) {
	d, err := r.repo.StreamDigest(name)
	if err != nil {
		return
	}
	l.streams[d], l.needed[d] = name, true
	id, isLayer := strings.CutPrefix(name, layer.StreamName(""))
	diffID := godigest.Digest(id)
	isLayer = isLayer && diffID.Validate() == nil
	s, err := r.repo.OpenStream(name)
	if err == nil {
		defer s.Close()
		for object := range s.ObjectRefs() {
			l.needed[object] = true
			if isLayer {
				l.holders[object] = append(l.holders[object], diffID)
				l.layers[diffID] = l.layers[diffID] || !r.check.HasGood(object)
			}
		}
	} else {
		l.unread = true
	}
	if isLayer && (err != nil || !r.check.HasGood(d)) {
		l.layers[diffID] = true
	}
}

// isComplete reports whether an image is whole with all its contents.
func (r *run) isComplete(l *losses, id string) bool {
	d, err := digest.Parse(id)
	if err != nil {
		return false
	}
	l.needed[d] = true
	objects, err := r.objectsOf(id)
	if err != nil {
		l.unread = true
		return false
	}
	complete := r.check.HasGood(d)
	for _, o := range objects {
		l.needed[o] = true
		complete = complete && r.check.HasGood(o)
	}
	return complete
}

// fetchFrom returns what is to be fetched from an origin whose image may be
// incomplete: its layers that are not whole, and those that an incomplete image
// needs and that are not there at all.
func (r *run) fetchFrom(l *losses, o Origin, incomplete bool) (f fetch, needed bool) {
	f = fetch{Origin: o}
	if f.documents, f.known = r.documents(o); !f.known {
		// Nobody had to keep them, but what is there should be whole.
		_, err := r.repo.StreamDigest(repo.ManifestPrefix + o.ManifestDigest)
		return f, err == nil || incomplete
	}
	f.layers = r.wanted(l, f.documents.layers, incomplete)
	return f, len(f.layers) > 0
}

// wanted returns those of an image's layers that are to be fetched, each once.
func (r *run) wanted(l *losses, all []oci.Layer, incomplete bool) []oci.Layer {
	var out []oci.Layer
	for _, candidate := range all {
		id := candidate.DiffID
		_, err := r.repo.StreamDigest(layer.StreamName(id))
		lost := l.layers[id] || err != nil && incomplete
		if lost && !slices.ContainsFunc(out, func(o oci.Layer) bool { return o.DiffID == id }) {
			out = append(out, candidate)
		}
	}
	return out
}

// holds reports whether what is fetched from the origin has one of the layers.
func (f fetch) holds(ids []godigest.Digest) bool {
	return slices.ContainsFunc(f.layers, func(l oci.Layer) bool { return slices.Contains(ids, l.DiffID) })
}

// remedy returns what repairing does about a problem, "" if that is nothing that
// needs to be said.
func (r *run) remedy(l *losses, p repo.Problem, built sources) string {
	name := strings.TrimPrefix(p.Path, "streams/")
	switch p.Flaw {
	case repo.DamagedObject:
		if stream := l.streams[p.Object]; stream != "" {
			return l.streamRemedy(stream)
		}
		if built[p.Object.String()] != "" {
			return "builds the image again"
		}
		if holders := l.holders[p.Object]; len(holders) > 0 {
			return l.layerRemedy(holders)
		}
		if !l.unread && !l.needed[p.Object] {
			return "removes it: nothing needs it"
		}
		return l.anyRemedy()
	case repo.DanglingStream, repo.BadStream, repo.IncompleteStream:
		return l.streamRemedy(name)
	case repo.DanglingImage:
		if built[p.Object.String()] != "" {
			return "builds it again"
		}
	case IncompleteImage, BadImage:
		return l.anyRemedy()
	}
	return ""
}

func (l *losses) streamRemedy(name string) string {
	if id, ok := strings.CutPrefix(name, layer.StreamName("")); ok {
		return l.layerRemedy([]godigest.Digest{godigest.Digest(id)})
	}
	for _, f := range l.fetches {
		if !f.known {
			return "asks " + f.name() + " for it again"
		}
	}
	return "lets go of it"
}

func (l *losses) layerRemedy(ids []godigest.Digest) string {
	for _, f := range l.fetches {
		if f.holds(ids) {
			return "fetches a layer again from " + f.name()
		}
	}
	return l.anyRemedy()
}

// anyRemedy is for what no document says the place of.
func (l *losses) anyRemedy() string {
	for _, f := range l.fetches {
		if !f.known || len(f.layers) > 0 {
			return "fetches layers again from " + f.name()
		}
	}
	return ""
}
