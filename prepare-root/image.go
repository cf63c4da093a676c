package prepareroot

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"syscall"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/mount"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/verity"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
	"github.com/sysupdate-image/sysupdate-image/internal/format/mountplan"
)

// image mounts the EROFS image of a deployment, once it is known to be whole.
func (b *builder) image(m mountplan.Mount, options options) (*os.File, error) {
	f, err := b.openImage(m.What)
	if err != nil {
		return nil, err
	}
	b.files = append(b.files, f)
	if options.has(optVerityRequired) {
		err = checkImage(f, path.Base(m.What))
	} else {
		err = b.hashImage(f, path.Base(m.What))
	}
	if err != nil {
		return nil, err
	}
	mounted, err := mount.EROFS(f, b.kernel.EROFSFiles)
	return mounted, lacking("erofs", err)
}

// openImage opens an image by its link in the repository.
func (b *builder) openImage(name string) (*os.File, error) {
	dir, id := path.Split(name)
	repository, err := b.open(path.Dir(path.Clean(dir)))
	if err != nil {
		return nil, err
	}
	f, err := openBelow(repository, "images/"+id)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the repository has no image %s: the deployment was removed, or never was on this machine: %w", id, err)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot open image %s: %w", id, err)
	}
	return f, nil
}

// checkImage sees to it that the kernel protects the image with the digest that
// the kernel command line asks for, and that all of it can be read. EROFS would
// find a damaged page only when somebody looks up a name in it.
func checkImage(f *os.File, id string) error {
	got, err := verity.Measure(f)
	switch {
	case errors.Is(err, verity.ErrNotEnabled):
		return fmt.Errorf("image %s is not protected by fs-verity, so it is not to be trusted: %w", id, err)
	case errors.Is(err, verity.ErrNotSupported):
		return fmt.Errorf("image %s cannot be verified: the physical root or the kernel has no fs-verity (composefs=?%s in place of composefs=%s would do without): %w", id, id, id, err)
	case err != nil:
		return fmt.Errorf("image %s cannot be verified: %w", id, err)
	case got.String() != id:
		return fmt.Errorf("image %s is another one: its fs-verity digest is %s", id, got)
	}
	return readImage(io.Discard, f, id)
}

// hashImage computes the digest that the kernel is not asked for. Whoever made
// fs-verity optional wants the machine to start all the same.
func (b *builder) hashImage(f *os.File, id string) error {
	want, err := digest.Parse(id)
	if err != nil {
		return err
	}
	h := verity.New(want.Algorithm())
	if err := readImage(h, f, id); err != nil {
		return err
	}
	if got := h.Sum(); got != want {
		b.warn(fmt.Sprintf("image %s is damaged or another one: its fs-verity digest is %s; it is used since verification is optional", id, got))
	}
	return nil
}

// readImage reads all of an image. With fs-verity that verifies it.
func readImage(w io.Writer, f *os.File, id string) error {
	buf := make([]byte, 1<<20)
	// Hidden behind other types, neither end can pass the buffer by.
	_, err := io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{f}, buf)
	if errors.Is(err, syscall.EIO) {
		return fmt.Errorf("image %s is damaged: its content has changed since it was installed: %w", id, err)
	}
	if err != nil {
		return fmt.Errorf("image %s cannot be read: %w", id, err)
	}
	return nil
}
