package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/repo"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
	"github.com/sysupdate-image/sysupdate-image/internal/image/source"
	"github.com/sysupdate-image/sysupdate-image/internal/inspect"
	"github.com/sysupdate-image/sysupdate-image/internal/repair"
	"github.com/sysupdate-image/sysupdate-image/internal/ui"
)

// repositoryPath returns the path of the chosen repository.
func (s *session) repositoryPath(flag string) string {
	switch {
	case flag != "":
		return flag
	case s.sysroot != "":
		return filepath.Join(s.sysroot, deployment.RepositoryDir)
	}
	return filepath.Join(deployment.SysrootDir, deployment.RepositoryDir)
}

// openRepository opens the chosen repository and locks it, for writing if write is set.
func (s *session) openRepository(flag string, write bool) (*repair.Repository, error) {
	if flag == "" && s.sysroot == "" {
		r, err := repair.OpenMachines(s.host.Root, write)
		return r, s.noRepository(flag, err)
	}
	r, err := repair.Open(s.repositoryPath(flag), write)
	return r, s.noRepository(flag, err)
}

// openStore opens the chosen repository for reading.
func (s *session) openStore(flag string) (*repo.Repository, error) {
	repo, err := repo.Open(s.repositoryPath(flag))
	return repo, s.noRepository(flag, err)
}

// noRepository explains a missing repository.
func (s *session) noRepository(flag string, err error) error {
	if flag == "" && s.sysroot != "" && errors.Is(err, repo.ErrNotARepository) {
		if _, statErr := os.ReadDir(s.sysroot); errors.Is(statErr, fs.ErrNotExist) {
			return fmt.Errorf("%s: no such directory", s.sysroot)
		}
	}
	if flag == "" && s.sysroot == "" && errors.Is(err, repo.ErrNotARepository) {
		return fmt.Errorf(
			"%w: this machine was not installed from an image; choose another with --repo DIR or --sysroot DIR", err)
	}
	return err
}

// openImages opens the repository, if it exists or was asked for, to read images with it.
func (s *session) openImages(f *imageFlags) (*inspect.Images, error) {
	opts, err := f.options()
	if err != nil {
		return nil, err
	}
	objects, err := s.openStore(f.repository)
	asked := f.repository != "" || s.sysroot != ""
	if err != nil && (asked || !errors.Is(err, repo.ErrNotARepository) && !errors.Is(err, fs.ErrPermission)) {
		return nil, err
	}
	return &inspect.Images{
		Machine: s.machine(), Source: opts, Repository: objects, RepositoryErr: err, Mounted: s.mountedBelow,
	}, nil
}

// mountedBelow returns a function that warns of mount points below a directory.
func (s *session) mountedBelow(dir string) func(path string) {
	return func(path string) {
		s.Warn(fmt.Sprintf("%s is a mount point: the files mounted there become part of the image", filepath.Join(dir, path)))
	}
}

// withImage calls f with an image.
func (s *session) withImage(
	ctx context.Context, name string, flags *imageFlags, alg digest.Algorithm, f func(*source.Image) error,
) error {
	all, err := s.openImages(flags)
	if err != nil {
		return err
	}
	defer all.Close()
	img, err := all.Open(ctx, name, alg)
	if err != nil {
		return ui.AdviseArch(err)
	}
	return f(img)
}
