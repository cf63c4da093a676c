package inspect

import (
	"slices"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/erofs"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/repo"
)

// A Stored is an image in a repository, with what keeps it there.
type Stored struct {
	ID            string   `json:"id"`
	FormatVersion int      `json:"formatVersion"`
	Size          int64    `json:"size"` // bytes of the image itself
	Deployed      bool     `json:"deployed"`
	Names         []string `json:"names,omitempty"`
	Containers    []string `json:"containerImages,omitempty"` // tags
	Error         string   `json:"error,omitempty"`
}

// StoredImages lists the images in a repository; deployed are the ids of those that are
// deployed. An image that cannot be read says so in its Error.
func StoredImages(repo *repo.Repository, deployed []string) ([]Stored, error) {
	ids, err := repo.Images()
	if err != nil {
		return nil, err
	}
	names, err := repo.ImageRefs()
	if err != nil {
		return nil, err
	}
	tags, err := tagsOfImages(repo)
	if err != nil {
		return nil, err
	}
	images := []Stored{}
	for _, id := range ids {
		i := Stored{ID: id, Containers: tags[id]}
		if err := i.measure(repo); err != nil {
			i.Error = err.Error()
		}
		for _, d := range deployed {
			i.Deployed = i.Deployed || d == id
		}
		for name, named := range names {
			if named == id {
				i.Names = append(i.Names, name)
			}
		}
		images = append(images, i)
	}
	return images, nil
}

func (i *Stored) measure(repo *repo.Repository) error {
	f, err := repo.OpenImage(i.ID)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	i.Size = info.Size()
	i.FormatVersion, err = erofs.VersionOf(f)
	return err
}

// tagsOfImages returns the tags of the container images that images were made
// of, by id: from tag to manifest to configuration to image.
func tagsOfImages(repo *repo.Repository) (map[string][]string, error) {
	refs, err := repo.Refs()
	if err != nil {
		return nil, err
	}
	streams, err := repo.Streams()
	if err != nil {
		return nil, err
	}
	byDigest := make(map[string]string)
	for _, name := range streams {
		if d, err := repo.StreamDigest(name); err == nil {
			byDigest[d.String()] = name
		}
	}
	tags := make(map[string][]string)
	for tag, manifest := range refs {
		for ref, config := range namedRefs(repo, manifest) {
			if !strings.HasPrefix(ref, "config:") {
				continue
			}
			for ref, image := range namedRefs(repo, byDigest[config]) {
				// One image can be both what boots and what does not.
				if strings.HasPrefix(ref, "composefs.image") && !slices.Contains(tags[image], tag) {
					tags[image] = append(tags[image], tag)
				}
			}
		}
	}
	return tags, nil
}

// namedRefs returns what a stream refers to, nothing if it cannot be read: repo
// fsck tells of that.
func namedRefs(repo *repo.Repository, stream string) map[string]string {
	s, err := repo.OpenStream(stream)
	if err != nil {
		return nil
	}
	defer s.Close()
	refs := make(map[string]string)
	for name, d := range s.NamedRefs() {
		refs[name] = d.String()
	}
	return refs
}
