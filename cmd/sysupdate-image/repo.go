package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/repo"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/inspect"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/records"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/sysroot"
)

const aboutRepo = `Maintain the repository, which holds images, layers and the contents of files: the one of
this machine, of --sysroot, or --repo.`

func (s *session) repoCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "repo",
		Short: "Maintain the repository",
		Long:  aboutRepo,
		Args:  needArgs(cobra.NoArgs),
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(s.repoImagesCommand(), s.repoGCCommand(), s.repoFsckCommand())
	return cmd
}

// A repository is an open repository and the machine that it belongs to.
type repository struct {
	*repo.Repository
	deployments []string // ids of images that a machine needs
	physical    *os.Root // root of the machine; nil where the repository is none of a machine's
	close       []func() error
}

// openRepository opens the chosen repository and locks it, for writing if write is set.
func (s *session) openRepository(flag string, write bool) (*repository, error) {
	r := &repository{}
	if err := r.open(s, flag, write); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

func (r *repository) open(s *session, flag string, write bool) (err error) {
	path := s.repositoryPath(flag)
	if write && flag == "" && s.sysroot == "" {
		// The physical root of the running machine is mounted read-only.
		running, err := os.OpenRoot("/")
		if err != nil {
			return err
		}
		defer running.Close()
		physical, err := sysroot.OpenWritable(running)
		if err != nil {
			return err
		}
		r.close = append(r.close, physical.Close)
		path = filepath.Join(physical.Name(), deployment.RepositoryDir)
	}
	if r.Repository, err = repo.Open(path); err != nil {
		return s.noRepository(flag, err)
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
		r.physical = nil // of a machine that there is none of
	}
	return err
}

// Close unlocks and closes the repository.
func (r *repository) Close() error {
	var errs []error
	for i := len(r.close) - 1; i >= 0; i-- {
		errs = append(errs, r.close[i]())
	}
	return errors.Join(errs...)
}

// deploymentsBeside returns the deployments of the machine whose repository is
// at path; a repository alone has none.
func deploymentsBeside(path string) ([]string, error) {
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
		return nil, fmt.Errorf("cannot tell which images are deployed: %w", err)
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

const aboutRepoImages = `List the composefs images in the repository: the beginning of the id, the format version,
the size, and what keeps repo gc from removing the image: a deployment, a name (image
build --name), or the container image that it was built from.`

func (s *session) repoImagesCommand() *cobra.Command {
	var path string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "images",
		Short: "List the images in the repository",
		Long:  aboutRepoImages,
		Args:  needArgs(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			repo, err := s.openStore(path)
			if err != nil {
				return err
			}
			defer repo.Close()
			deployed, err := deploymentsBeside(s.repositoryPath(path))
			if err != nil {
				return err
			}
			images, err := inspect.StoredImages(repo, deployed)
			if err != nil {
				return err
			}
			if asJSON {
				return s.PrintJSON(images)
			}
			return s.PrintImages(images)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, with complete ids")
	addRepositoryFlag(cmd, &path)
	return cmd
}
