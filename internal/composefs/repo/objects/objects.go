// Package objects reads the objects of a repository: files below one directory, named by
// their fs-verity digests. It is apart from package repo so that a program that only
// reads objects is free of the decompressor that repo needs for streams.
package objects

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"syscall"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/verity"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
)

// ErrDamaged says that an object is not what its name promises.
var ErrDamaged = errors.New("damaged")

// Open opens an object of the directory dir, without looking at its content. The error is
// fs.ErrNotExist if the object is not there, ErrDamaged if it cannot be what its name
// promises: it is not a regular file, or what fs-verity protects it with is broken.
func Open(dir *os.File, d digest.Digest) (*os.File, error) {
	f, err := sys.Openat(dir, d.ObjectPath(), os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if isDamage(err) {
		return nil, fmt.Errorf("object %s: %w: %w", d, ErrDamaged, err)
	}
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("object %s: %w: not a file", d, ErrDamaged)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// damages are the errors of open(2) that say that the file is not what it should
// be. With fs-verity, opening a file reads what protects it, and file systems say
// in various ways that it is not there.
var damages = []error{
	syscall.EBADMSG, syscall.EINVAL, syscall.EIO, syscall.EMSGSIZE, syscall.EOVERFLOW, syscall.EUCLEAN,
	syscall.ELOOP, syscall.ENXIO, // a symbolic link, a socket
}

func isDamage(err error) bool {
	return slices.ContainsFunc(damages, func(d error) bool { return errors.Is(err, d) })
}

// Verify checks that the kernel protects the open object with the digest that it is named
// by, so that reading it fails where it was changed. Otherwise, the error is ErrDamaged.
func Verify(f *os.File, d digest.Digest) error {
	got, err := verity.Measure(f)
	if err != nil {
		return fmt.Errorf("object %s: %w: %w", d, ErrDamaged, err)
	}
	if got != d {
		return fmt.Errorf("object %s: %w: fs-verity digest is %s", d, ErrDamaged, got)
	}
	return nil
}

// VerifyOrSum is Verify where the object has fs-verity. Where it has not, it reads the
// whole object, computes its digest, and returns to its beginning.
func VerifyOrSum(f *os.File, d digest.Digest) error {
	err := Verify(f, d)
	if !errors.Is(err, verity.ErrNotEnabled) && !errors.Is(err, verity.ErrNotSupported) {
		return err
	}
	got, _, err := verity.SumReader(d.Algorithm(), f)
	if err != nil {
		return fmt.Errorf("cannot read object %s: %w", d, err)
	}
	if got != d {
		return fmt.Errorf("object %s: %w: the digest of its content is %s", d, ErrDamaged, got)
	}
	_, err = f.Seek(0, io.SeekStart)
	return err
}
