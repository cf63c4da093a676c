package repo

import (
	"context"
	"fmt"
	"os"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/stream"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/verity"
	"github.com/sysupdate-image/sysupdate-image/internal/format/cancel"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
)

// CopyStream brings a stream, and the objects that it consists of, from another
// repository, whose objects have digests of the same algorithm. On one file
// system that can do so (btrfs, XFS) both have the contents together. Whatever
// the other repository has, only what is what its name promises is taken. check
// reports whether the stream is what is wanted: it reads it here, where who owns the
// other repository cannot change it any more. The stream is there when CopyStream
// returns nil, and then survives a crash.
func (r *Repository) CopyStream(ctx context.Context, from *Repository, name string, check func(*stream.Reader) error) error {
	if err := r.copyStream(ctx, from, name, check); err != nil {
		return fmt.Errorf("cannot copy stream %s: %w", name, err)
	}
	return nil
}

func (r *Repository) copyStream(ctx context.Context, from *Repository, name string, check func(*stream.Reader) error) error {
	if err := r.writable(); err != nil {
		return err
	}
	if from.algorithm != r.algorithm {
		return fmt.Errorf("the other repository has %s digests, this one %s", from.algorithm, r.algorithm)
	}
	d, err := from.StreamDigest(name)
	if err != nil {
		return err
	}
	if err := r.copyObject(ctx, from, d); err != nil {
		return err
	}
	s, err := r.openStreamFile(name, d)
	if err != nil {
		return err
	}
	defer s.Close()
	for object := range s.ObjectRefs() {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := r.copyObject(ctx, from, object); err != nil {
			return err
		}
	}
	if err := check(s); err != nil {
		return err
	}
	return r.publish(d, streamsDir+"/"+name)
}

func (r *Repository) copyObject(ctx context.Context, from *Repository, d digest.Digest) error {
	src, err := from.openFile(d)
	if err != nil {
		return err
	}
	defer src.Close()
	info, err := src.Stat()
	if err != nil {
		return err
	}
	if r.trusted(d, info.Size()) {
		return nil
	}
	done, err := r.reserve.take(info.Size(), true)
	if err != nil {
		return err
	}
	defer done()
	dst, err := r.temps.copyOf(ctx, src)
	if err != nil {
		return err
	}
	defer dst.drop()
	var got digest.Digest
	if r.insecure {
		got, err = sumOf(ctx, dst.File, r.algorithm)
	} else if err = dst.protect(r.algorithm); err == nil {
		got, err = verity.Measure(dst.File)
	}
	if err == nil && got != d {
		err = fmt.Errorf("object %s: %w: its fs-verity digest is %s", d, ErrDamaged, got)
	}
	if err != nil {
		return err
	}
	return r.link(dst, d, info.Size())
}

// sumOf returns the digest of a file that is open for writing only.
func sumOf(ctx context.Context, f *os.File, alg digest.Algorithm) (digest.Digest, error) {
	reader, err := sys.Reopen(f, os.O_RDONLY)
	if err != nil {
		return digest.Digest{}, err
	}
	defer reader.Close()
	d, _, err := verity.SumReader(alg, cancel.Reader(ctx, reader))
	return d, err
}
