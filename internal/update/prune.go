package update

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"github.com/sysupdate-image/sysupdate-image/internal/boot"
	"github.com/sysupdate-image/sysupdate-image/internal/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/digest"
	"github.com/sysupdate-image/sysupdate-image/internal/durable"
	"github.com/sysupdate-image/sysupdate-image/internal/erofs"
	"github.com/sysupdate-image/sysupdate-image/internal/store"
)

// prune removes the deployments that are neither booted, staged, next nor the
// one to fall back to: first their boot entries and kernels, so that nothing is
// ever listed that is not whole, then their state, images and objects.
func (m *Machine) prune(ctx context.Context) error {
	files, err := m.boot.Entries()
	if err != nil {
		return fmt.Errorf("cannot prune: %w", err)
	}
	keep, err := m.kept(files)
	if err != nil {
		return fmt.Errorf("cannot prune: %w", err)
	}
	if len(keep) == 0 {
		return nil
	}
	if err := m.boot.Prune(keep); err != nil {
		return err
	}
	if err := m.pruneState(keep); err != nil {
		return fmt.Errorf("cannot prune state of deployments: %w", err)
	}
	if err := m.pruneRepository(ctx, keep); err != nil {
		return fmt.Errorf("cannot prune the repository: %w", err)
	}
	return nil
}

// kept returns the deployments that stay.
func (m *Machine) kept(files []boot.EntryFile) ([]deployment.ID, error) {
	record, err := m.staged()
	if err != nil {
		return nil, err
	}
	var keep []deployment.ID
	if m.booted != "" {
		keep = append(keep, m.booted)
	}
	if record != nil {
		keep = append(keep, record.ID)
	}
	if next, ok := firstDeployment(files); ok {
		keep = append(keep, next.Target.ID)
	}
	if fallback, ok := fallback(files, keep); ok {
		keep = append(keep, fallback)
	}
	return keep, nil
}

// superseded returns the deployments with a boot entry that do not stay, the
// oldest first.
func (m *Machine) superseded() ([]deployment.ID, error) {
	files, err := m.boot.Entries()
	if err != nil {
		return nil, err
	}
	keep, err := m.kept(files)
	if err != nil {
		return nil, err
	}
	var out []deployment.ID
	for _, f := range slices.Backward(files) {
		if f.IsDeployment() && !slices.Contains(keep, f.Target.ID) && !slices.Contains(out, f.Target.ID) {
			out = append(out, f.Target.ID)
		}
	}
	return out, nil
}

// fallback returns the best deployment besides the booted, next and staged
// ones: the first that has proved itself, or else the first at all.
func fallback(files []boot.EntryFile, besides []deployment.ID) (deployment.ID, bool) {
	for _, suits := range []func(boot.EntryFile) bool{boot.EntryFile.Good, boot.EntryFile.Bootable} {
		for _, f := range files {
			if f.IsDeployment() && suits(f) && !slices.Contains(besides, f.Target.ID) {
				return f.Target.ID, true
			}
		}
	}
	return "", false
}

// pruneState removes the state directories of deployments that do not stay.
func (m *Machine) pruneState(keep []deployment.ID) error {
	list, err := fs.ReadDir(m.root.FS(), deployment.DeployDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, d := range list {
		id, err := deployment.ParseID(d.Name())
		if err != nil || slices.Contains(keep, id) {
			continue // what is not ours stays
		}
		if err := durable.RemoveAll(durable.OS(m.root), id.Dir()); err != nil {
			return err
		}
	}
	return nil
}

// pruneRepository removes the images of deployments that do not stay, the
// records of where they came from, and the objects that nothing needs then.
func (m *Machine) pruneRepository(ctx context.Context, keep []deployment.ID) error {
	refs, err := m.repo.Refs()
	if err != nil {
		return err
	}
	wanted := make(map[string]bool)
	for _, id := range keep {
		o, err := m.readOrigin(id)
		if err != nil {
			return err
		}
		wanted[rootRef(o.ManifestDigest)] = true
	}
	for ref := range refs {
		if isRootRef(ref) && !wanted[ref] {
			if err := m.repo.RemoveRef(ref); err != nil {
				return err
			}
		}
	}
	roots := store.Roots{ObjectsOf: objectsOf}
	for _, id := range keep {
		roots.Images = append(roots.Images, string(id))
	}
	_, err = m.repo.GC(ctx, roots, false)
	return err
}

// objectsOf returns the objects that a composefs image names.
func objectsOf(image *os.File) ([]digest.Digest, error) {
	info, err := image.Stat()
	if err != nil {
		return nil, err
	}
	tree, err := erofs.Read(image, info.Size())
	if err != nil {
		return nil, err
	}
	return tree.Objects(), nil
}
