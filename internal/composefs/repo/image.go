package repo

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"syscall"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
)

// An image is an object that may be mounted: images has a link to it. Its id is
// its digest in hexadecimal.

// PutImage writes an image, and returns its digest when it and every object
// written before survive a crash.
func (r *Repository) PutImage(write func(io.Writer) error) (digest.Digest, error) {
	w, err := r.NewObject()
	if err != nil {
		return digest.Digest{}, err
	}
	defer w.Abort()
	if err := write(w); err != nil {
		return digest.Digest{}, err
	}
	d, err := w.Commit()
	if err != nil {
		return digest.Digest{}, err
	}
	if err := r.publish(d, imagesDir+"/"+d.String()); err != nil {
		return digest.Digest{}, fmt.Errorf("cannot enter image %s: %w", d, err)
	}
	return d, nil
}

// HasImage reports whether there is an image with the id that can be used. It is an error
// if that cannot be told: a damaged image is no use, but one that may not be opened is not
// missing.
func (r *Repository) HasImage(id string) (bool, error) {
	f, err := r.OpenImage(id)
	if err == nil {
		return true, f.Close()
	}
	errno, ok := errors.AsType[syscall.Errno](err)
	if !ok || errno == syscall.EINVAL || errors.Is(err, ErrDamaged) { // EINVAL: not a link
		return false, nil
	}
	_, err = bounded.Found(err)
	return false, err
}

// OpenImage opens an image to read or mount. The error is fs.ErrNotExist if it
// is not there, ErrDamaged if fs-verity does not vouch for it.
func (r *Repository) OpenImage(id string) (*os.File, error) {
	d, err := digest.Parse(id)
	if err != nil {
		return nil, fmt.Errorf("cannot open image: %w", err)
	}
	target, err := r.linked(imagesDir, id)
	if err != nil {
		return nil, fmt.Errorf("cannot open image: %w", err)
	}
	if target != d {
		return nil, fmt.Errorf("cannot open image %s: %w: it leads to object %s", id, ErrDamaged, target)
	}
	return r.OpenObject(d)
}

// Images returns the ids of all images, sorted.
func (r *Repository) Images() ([]string, error) {
	links, err := r.links(imagesDir)
	if err != nil {
		return nil, fmt.Errorf("cannot list images: %w", err)
	}
	maps.DeleteFunc(links, func(name string, d digest.Digest) bool { return name != d.String() })
	return slices.Sorted(maps.Keys(links)), nil
}

// RemoveImage makes an image unknown; GC removes its content. What is not there
// is no error.
func (r *Repository) RemoveImage(id string) error {
	if _, err := digest.Parse(id); err != nil {
		return fmt.Errorf("cannot remove image: %w", err)
	}
	if err := r.writable(); err != nil {
		return err
	}
	return durable.Remove(r.changes, imagesDir+"/"+id)
}
