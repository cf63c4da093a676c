package repo

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/sysupdate-image/sysupdate-image/internal/format/cancel"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
)

// ErrBeyondRepair says that the repository alone does not have what it takes to
// repair a problem.
var ErrBeyondRepair = errors.New("cannot be repaired from what is here")

// Repair undoes a problem that Check has found, with what is in the repository:
// modes are set, what leads nowhere is removed, so that it is fetched again when
// it is needed, and a good object without fs-verity is protected. The caller
// holds the exclusive lock. For damaged objects the error is ErrBeyondRepair.
func (r *Repository) Repair(p Problem) error {
	err := r.writable()
	if err == nil && r.exclusive.Load() == 0 {
		err = errors.New("the repository is not locked")
	}
	if err == nil {
		err = r.repair(p)
	}
	if err != nil {
		return fmt.Errorf("cannot repair %s: %w", p.Path, err)
	}
	return nil
}

func (r *Repository) repair(p Problem) error {
	switch p.Flaw {
	case WrongMode:
		return r.repairMode(p.Path)
	case UnprotectedObject:
		if err := r.replaceByProtected(context.Background(), p.Object); err != nil {
			return err
		}
		return r.Sync()
	case DanglingImage, DanglingStream, DanglingRef, BadStream, IncompleteStream, WrongLink, LeftOver:
		return durable.Remove(r.changes, p.Path)
	}
	if p.Flaw == WrongOwner {
		return fmt.Errorf("%w: check what is in it, and 'chown' it", ErrOtherOwner)
	}
	return ErrBeyondRepair
}

func (r *Repository) repairMode(name string) error {
	info, err := r.root.Lstat(name)
	if err != nil {
		return err
	}
	mode := objectPerm | info.Mode()&distrusted
	if info.IsDir() {
		mode = dirMode(name, info.Mode())
	}
	return r.root.Chmod(name, mode)
}

// replaceByProtected replaces an object by a copy that fs-verity protects. It survives
// a crash after Sync.
func (r *Repository) replaceByProtected(ctx context.Context, d digest.Digest) error {
	f, err := r.openFile(d)
	if err != nil {
		return err
	}
	defer f.Close()
	w, err := r.NewObject()
	if err != nil {
		return err
	}
	defer w.Abort()
	if _, err := io.Copy(w, cancel.Reader(ctx, f)); err != nil {
		return err
	}
	got, err := w.Commit()
	if err == nil && got != d {
		err = fmt.Errorf("its copy is %s: %w", got, ErrBeyondRepair)
	}
	return err
}
