package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/imagemount"
	"github.com/sysupdate-image/sysupdate-image/internal/store"
)

const aboutImageMount = `Mount an image of the repository at a directory, read-only, to look into it: that of a
deployment (booted, staged, next, rollback), or one that image build --repo has put
there. ID is how its id begins. The kernel verifies every file that is read, unless the repository
is on a file system without fs-verity.

This needs root. umount(8) takes the mount away again.`

func (s *session) imageMountCommand() *cobra.Command {
	var repository string
	cmd := &cobra.Command{
		Use:   "mount ID DIR",
		Short: "Mount an image of the repository",
		Long:  aboutImageMount,
		Example: `  sysupdate-image image mount 3f60ad1c22b9 /mnt
  sysupdate-image image mount --repo repo 3f60ad1c22b9 /mnt`,
		Args: needArgs(cobra.ExactArgs(2)),
		RunE: func(_ *cobra.Command, args []string) error {
			if os.Geteuid() != 0 {
				return errors.New("cannot mount image: only root may; image ls and image dump look into it without a mount")
			}
			name, err := s.deploymentNamed(args[0])
			if err != nil {
				return err
			}
			repo, err := s.openStore(repository)
			if err != nil {
				return err
			}
			defer repo.Close()
			return mountStored(repo, name, args[1])
		},
	}
	addRepositoryFlag(cmd, &repository)
	return cmd
}

func mountStored(repo *store.Repository, name, dir string) error {
	id, err := repo.FindImage(name)
	if err != nil {
		return fmt.Errorf("cannot mount image: %w", err)
	}
	image, err := repo.OpenImage(id)
	if err != nil {
		return err
	}
	defer image.Close()
	return imagemount.Mount(image, repo.ObjectsDir(), dir, imagemount.Options{
		Source: "composefs:" + id, Verity: !repo.Insecure(),
	})
}
