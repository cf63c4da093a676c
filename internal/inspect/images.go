package inspect

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/canonical"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/diff"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/repo"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
	"github.com/sysupdate-image/sysupdate-image/internal/image/oci"
	"github.com/sysupdate-image/sysupdate-image/internal/image/source"
	"github.com/sysupdate-image/sysupdate-image/internal/machine"
)

// Images opens images for one command.
type Images struct {
	Machine       machine.Place    // the machine whose deployments can be named
	Repository    *repo.Repository // nil if there is none
	RepositoryErr error            // why
	Source        oci.Options      // how to read container images
	// Mounted returns what is told the mount points below a directory that is read.
	Mounted func(dir string) func(path string)

	open []*source.Image
}

// Open opens the image that name stands for: a file, a directory, a deployment, an id or
// a reference. Digests of contents are computed by alg, or as the repository has them if
// that is 0.
func (i *Images) Open(ctx context.Context, name string, alg digest.Algorithm) (*source.Image, error) {
	found, err := i.resolve(name)
	if err != nil {
		return nil, err
	}
	if found != name && i.Repository == nil {
		return nil, fmt.Errorf("cannot read the image of deployment %s: %w", name, i.RepositoryErr)
	}
	img, err := source.Open(ctx, found, source.Options{
		Repository: i.Repository, Algorithm: alg, Source: i.Source, Mounted: i.Mounted(found),
	})
	if err != nil {
		return nil, err
	}
	i.open = append(i.open, img)
	return img, nil
}

// Pair opens two images with digests of the same algorithm: the one that either of them
// determines.
func (i *Images) Pair(ctx context.Context, a, b string) (before, after *source.Image, err error) {
	if before, err = i.Open(ctx, a, 0); err != nil {
		return nil, nil, err
	}
	alg := source.AlgorithmOf(before.Root)
	if after, err = i.Open(ctx, b, alg); err != nil {
		return nil, nil, err
	}
	if other := source.AlgorithmOf(after.Root); before.Raw() && alg != other && other != 0 {
		before, err = i.Open(ctx, a, other)
	}
	return before, after, err
}

// Compare opens two images as Pair does, and compares them as the function Compare does.
func (i *Images) Compare(
	ctx context.Context, a, b string, form canonical.Form, ignore diff.Aspects,
) (Comparison, error) {
	before, after, err := i.Pair(ctx, a, b)
	if err != nil {
		return Comparison{}, err
	}
	return Compare(ctx, before, after, form, ignore)
}

// Close closes all images and the repository.
func (i *Images) Close() error {
	var errs []error
	for _, img := range i.open {
		errs = append(errs, img.Close())
	}
	if i.Repository != nil {
		errs = append(errs, i.Repository.Close())
	}
	return errors.Join(errs...)
}

// resolve returns what source.Open calls the image that name stands for:
// of a deployment the id, if there is no file of that name; all else stays.
func (i *Images) resolve(name string) (string, error) {
	if _, err := os.Stat(name); err == nil || !mayBeWord(name) {
		return name, nil
	}
	id, err := deploymentNamed(i.Machine, name)
	if err != nil {
		return "", fmt.Errorf("no file or directory %s, and %w; a container image is docker.io/library/%s", name, err, name)
	}
	return string(id), nil
}

// mayBeWord reports whether name can be a role or the name of a pin: it is not a path,
// a reference or the beginning of an id.
func mayBeWord(name string) bool { return !strings.ContainsAny(name, "/:") && !mayBeID(name) }

func mayBeID(name string) bool { return strings.Trim(name, "0123456789abcdef") == "" }

// StoredID returns the id of the image of r that name stands for: the beginning of an id,
// or the name of a deployment of the machine.
func StoredID(r *repo.Repository, at machine.Place, name string) (string, error) {
	if mayBeID(name) {
		return r.FindImage(name)
	}
	id, err := deploymentNamed(at, name)
	return string(id), err
}

// deploymentNamed returns the deployment that name stands for, as State.Find.
func deploymentNamed(at machine.Place, name string) (deployment.ID, error) {
	system, err := machine.Open(at, machine.ToRead)
	if err != nil {
		return "", err
	}
	defer system.Close()
	return system.State().Find(name)
}
