package repo

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
)

const imageRefs = imagesDir + "/" + refsName

// SetImageRef gives an image, which must be there, a name that keeps it from
// being collected as garbage. What had the name loses it.
func (r *Repository) SetImageRef(name, id string) error {
	if err := checkName(name); err != nil {
		return fmt.Errorf("cannot name image: %w", err)
	}
	if err := r.writable(); err != nil {
		return err
	}
	found, err := r.HasImage(id)
	if err == nil && !found {
		err = fs.ErrNotExist
	}
	if err != nil {
		return fmt.Errorf("cannot name image %s: %w", id, err)
	}
	if err := durable.MkdirAll(r.changes, imageRefs, dirPerm); err != nil {
		return err
	}
	if err := r.makeLink("../"+id, imageRefs+"/"+name); err != nil {
		return fmt.Errorf("cannot name image %s: %w", id, err)
	}
	return nil
}

// RemoveImageRef removes the name of an image. What is not there is no error.
func (r *Repository) RemoveImageRef(name string) error {
	if err := checkName(name); err != nil {
		return fmt.Errorf("cannot remove name of image: %w", err)
	}
	if err := r.writable(); err != nil {
		return err
	}
	return durable.Remove(r.changes, imageRefs+"/"+name)
}

// ImageRefs returns the ids of the images that have names, by name. Names
// by composefs-rs may contain slashes, for directories.
func (r *Repository) ImageRefs() (map[string]string, error) {
	refs := make(map[string]string)
	err := fs.WalkDir(r.root.FS(), imageRefs, func(p string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // it has just been removed, or there are none
		}
		if err != nil || e.Type() != fs.ModeSymlink {
			return err
		}
		target, err := r.root.Readlink(p)
		if err != nil {
			return nil
		}
		dir, id := path.Split(path.Join(path.Dir(p), target))
		if d, err := digest.Parse(id); err == nil && dir == imagesDir+"/" {
			refs[strings.TrimPrefix(p, imageRefs+"/")] = d.String()
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("cannot list names of images: %w", err)
	}
	return refs, nil
}

// FindImage returns the id of the only image whose id begins with prefix. The
// error is fs.ErrNotExist if there is none.
func (r *Repository) FindImage(prefix string) (string, error) {
	ids, err := r.Images()
	if err != nil {
		return "", err
	}
	found := ""
	for _, id := range ids {
		if prefix == "" || len(prefix) > len(id) || id[:len(prefix)] != prefix {
			continue
		}
		if found != "" {
			return "", fmt.Errorf("the ids of several images begin with %q", prefix)
		}
		found = id
	}
	if found == "" {
		return "", fmt.Errorf("no image whose id begins with %q: %w", prefix, fs.ErrNotExist)
	}
	return found, nil
}
