package repo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/verity"
	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
)

// Protect makes an insecure repository one that fs-verity protects: its objects, and
// then meta.json, which says so to every program. bootc 1.16 leaves its meta.json
// without fs-verity although its objects have it. An object that is not what its
// name promises stays as it is, for Check to find. The caller holds the exclusive
// lock, and nothing else uses the repository meanwhile.
//
// The error is verity.ErrNotSupported if the file system has no fs-verity; the
// repository is then as it was.
func (r *Repository) Protect(ctx context.Context) error {
	if !r.insecure {
		return nil
	}
	err := r.writable()
	if err == nil && r.exclusive.Load() == 0 {
		err = errors.New("it is not locked")
	}
	if err == nil {
		err = r.protectAll(ctx)
	}
	if err != nil {
		return fmt.Errorf("cannot protect the repository with fs-verity: %w", err)
	}
	return nil
}

// protectAll protects the objects, and gives meta.json its name when they last.
func (r *Repository) protectAll(ctx context.Context) error {
	meta, err := r.protectedMetadata()
	if err != nil {
		return err
	}
	defer meta.drop()
	temps, err := newTempDir(r.dir)
	if err != nil {
		return err
	}
	before := r.temps
	r.insecure, r.temps = false, temps
	if err = r.protectObjects(ctx); err == nil {
		err = r.Sync()
	}
	if err == nil {
		err = meta.replace(r.dir, metadataName)
	}
	if err != nil {
		r.insecure, r.temps = true, before
		return err
	}
	return r.Sync()
}

// protectedMetadata makes a copy of meta.json, to the byte, that fs-verity protects.
func (r *Repository) protectedMetadata() (*tempFile, error) {
	data, err := bounded.ReadRoot(r.root, metadataName, limits.Record)
	if errors.Is(err, fs.ErrNotExist) {
		data, err = legacyMetadata(r.algorithm).encode()
	}
	if err != nil {
		return nil, err
	}
	temps, err := newTempDir(r.dir)
	if err != nil {
		return nil, err
	}
	f, err := temps.create()
	if err != nil {
		return nil, err
	}
	if _, err = f.Write(data); err == nil {
		err = f.protect(r.algorithm)
	}
	if err != nil {
		f.drop()
		return nil, err
	}
	return f, nil
}

// protectObjects replaces the objects that fs-verity does not protect.
func (r *Repository) protectObjects(ctx context.Context) error {
	return eachObject(r.objects, func(d digest.Digest) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if d.Algorithm() != r.algorithm {
			return nil
		}
		bare, err := r.isBare(d)
		if err == nil && bare {
			err = r.replaceByProtected(ctx, d)
		}
		if errors.Is(err, ErrDamaged) || errors.Is(err, ErrBeyondRepair) {
			return nil
		}
		return err
	})
}

// isBare reports whether an object has no fs-verity.
func (r *Repository) isBare(d digest.Digest) (bool, error) {
	f, err := r.openFile(d)
	if err != nil {
		return false, err
	}
	defer f.Close()
	_, err = verity.Measure(f)
	if errors.Is(err, verity.ErrNotEnabled) {
		return true, nil
	}
	return false, err
}
