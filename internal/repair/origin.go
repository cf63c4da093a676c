package repair

import (
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/canonical"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/erofs"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/repo"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
	"github.com/sysupdate-image/sysupdate-image/internal/image/oci"
)

// An Origin says where the image of a deployment came from.
type Origin struct {
	Deployment     string // id of its image
	Reference      string // as oci.ParseOrigin takes it
	ManifestDigest string
	Policy         string // file of the signature policy that was given for it, "" if none was
}

// name returns where the image is asked for: by its digest, whatever the tag names
// by now.
func (o Origin) name() string {
	ref, err := o.pinned()
	if err != nil {
		return o.Reference
	}
	return ref.String()
}

func (o Origin) pinned() (oci.Reference, error) {
	ref, err := oci.ParseOrigin(o.Reference)
	if err != nil {
		return oci.Reference{}, err
	}
	return ref.Pinned(o.ManifestDigest)
}

// documents are the manifest and the configuration of an image.
type documents struct {
	manifest, config []byte
	configDigest     string
	layers           []oci.Layer
	form             canonical.Variant // of the composefs image
}

// documents returns those that are kept of an origin; ok is false if one of them
// cannot be read, or is not what its digest says.
func (r *run) documents(o Origin) (d documents, ok bool) {
	var named map[string]digest.Digest
	if d.manifest, named, ok = r.document(repo.ManifestPrefix, o.ManifestDigest); !ok {
		return d, false
	}
	d.configDigest = repo.ConfigOf(named)
	if d.config, named, ok = r.document(repo.ConfigPrefix, d.configDigest); !ok {
		return d, false
	}
	d.form = r.formOf(o.Deployment, named)
	var err error
	d.layers, err = oci.LayersOf(d.manifest, d.config)
	return d, err == nil
}

// document returns the content of a document that is whole, and what it refers to.
func (r *run) document(prefix, name string) (text []byte, named map[string]digest.Digest, ok bool) {
	file, err := r.repo.StreamDigest(prefix + name)
	if err != nil || !r.check.HasGood(file) {
		return nil, nil, false
	}
	text, named, err = r.repo.Document(prefix, name)
	return text, named, err == nil
}

// formOf returns the form of an image: by the name under which a configuration
// refers to it, by the image itself, or the usual one.
func (r *run) formOf(id string, named map[string]digest.Digest) canonical.Variant {
	for ref, d := range named {
		if form, ok := canonical.ParseRef(ref); ok && d.String() == id {
			return form
		}
	}
	form := canonical.Variants[0]
	if f, err := r.repo.OpenImage(id); err == nil {
		defer f.Close()
		if version, err := erofs.VersionOf(f); err == nil {
			form.Version = version
		}
	}
	return form
}
