package repair

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/erofs"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/repo"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/records"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/sysroot"
)

// A Repository is an open repository, locked, and the machine that it belongs to.
type Repository struct {
	*repo.Repository
	deployments []string // ids of images that a machine needs
	physical    *os.Root // root of the machine; nil if the repository does not belong to a machine
	close       []func() error
}

// OpenMachines opens the repository of the running machine as Open does. Host is the root
// directory of the running system. To write, it mounts the physical root writable.
func OpenMachines(host *os.Root, write bool) (*Repository, error) {
	if !write {
		return Open(filepath.Join(deployment.SysrootDir, deployment.RepositoryDir), false)
	}
	physical, err := sysroot.OpenWritable(host)
	if err != nil {
		return nil, err
	}
	r := &Repository{close: []func() error{physical.Close}}
	return r, r.openOrClose(filepath.Join(physical.Name(), deployment.RepositoryDir), true)
}

// Open opens the repository in a directory and locks it, exclusively if write is set.
func Open(path string, write bool) (*Repository, error) {
	r := &Repository{}
	return r, r.openOrClose(path, write)
}

func (r *Repository) openOrClose(path string, write bool) error {
	if err := r.open(path, write); err != nil {
		return errors.Join(err, r.Close())
	}
	return nil
}

func (r *Repository) open(path string, write bool) (err error) {
	if r.Repository, err = repo.Open(path); err != nil {
		return err
	}
	r.close = append(r.close, r.Repository.Close)
	unlock, err := r.Lock(write)
	if err != nil {
		return err
	}
	r.close = append(r.close, unlock)
	if filepath.Base(filepath.Clean(path)) != deployment.RepositoryDir {
		return nil
	}
	if r.physical, err = os.OpenRoot(filepath.Dir(filepath.Clean(path))); err != nil {
		return err
	}
	r.close = append(r.close, r.physical.Close)
	if r.deployments, err = deploymentsIn(r.physical); len(r.deployments) == 0 {
		r.physical = nil // it belongs to no machine
	}
	return err
}

// Close unlocks and closes the repository.
func (r *Repository) Close() error {
	var errs []error
	for i := len(r.close) - 1; i >= 0; i-- {
		errs = append(errs, r.close[i]())
	}
	return errors.Join(errs...)
}

// DeploymentsBeside returns the deployments of the machine whose repository is
// at path; a repository alone has none.
func DeploymentsBeside(path string) ([]string, error) {
	if filepath.Base(filepath.Clean(path)) != deployment.RepositoryDir {
		return nil, nil
	}
	physical, err := os.OpenRoot(filepath.Dir(filepath.Clean(path)))
	if err != nil {
		return nil, err
	}
	defer physical.Close()
	return deploymentsIn(physical)
}

// deploymentsIn returns the deployments below a physical root, also one that is pinned
// and has lost its state.
func deploymentsIn(physical *os.Root) ([]string, error) {
	entries, err := fs.ReadDir(physical.FS(), deployment.DeployDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the deployments: %w", err)
	}
	var ids []string
	for _, e := range entries {
		if id, err := deployment.ParseID(e.Name()); err == nil {
			ids = append(ids, string(id))
		}
	}
	pins, err := records.LoadPins(physical.FS())
	for id := range pins {
		if !slices.Contains(ids, string(id)) {
			ids = append(ids, string(id))
		}
	}
	slices.Sort(ids)
	return ids, err
}

// Check checks the repository, and repairs it if that is wanted: see Run. It fills in the
// options that depend on the machine.
func (r *Repository) Check(ctx context.Context, o Options) (Report, error) {
	origins, err := originsOf(r.physical, r.deployments)
	if err != nil {
		return Report{}, err
	}
	o.Deployments, o.Physical, o.Origins = r.deployments, r.physical, origins
	return Run(ctx, r.Repository, o)
}

// ErrImageDamaged reports that an image in the repository cannot be read.
var ErrImageDamaged = errors.New("is damaged")

// Collect removes what neither the machine nor a name needs, or with dryRun only reports
// it. warn is told of deployments whose image cannot be read.
func (r *Repository) Collect(ctx context.Context, dryRun bool, warn func(error)) (repo.Report, error) {
	roots := repo.Roots{EachObject: erofs.EachObject}
	for _, id := range r.deployments {
		found, err := r.HasImage(id)
		if err != nil {
			return repo.Report{}, err
		}
		if !found {
			warn(&deployment.DamagedImageError{ID: deployment.ID(id)})
			continue
		}
		roots.Images = append(roots.Images, id)
	}
	report, err := r.GC(ctx, roots, dryRun)
	for _, id := range report.Unreadable {
		warn(fmt.Errorf("keeping all contents: image %s %w", deployment.ID(id).Short(), ErrImageDamaged))
	}
	return report, err
}

// originsOf returns the origins of the deployments below a physical root; those with a
// missing or invalid one are skipped.
func originsOf(physical *os.Root, deployments []string) ([]Origin, error) {
	var origins []Origin
	for _, id := range deployments {
		o, err := records.LoadOrigin(physical.FS(), deployment.ID(id))
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, records.ErrDamaged) {
			return nil, fmt.Errorf("cannot read the origins of deployments: %w", err)
		}
		if o.Reference == "" || o.ManifestDigest == "" {
			continue // status reports a damaged one
		}
		origins = append(origins, Origin{Deployment: id, Reference: o.Reference, ManifestDigest: o.ManifestDigest, Policy: o.Policy})
	}
	return origins, nil
}
