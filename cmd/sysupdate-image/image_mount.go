package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/mount"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/repo"
)

const aboutImageMount = `Mount an image of the repository at a directory, read-only, to look into it: that of a
deployment, or one that image build --repo has put there. The kernel verifies every file
that is read, unless the repository is on a file system without fs-verity.

ID is how its id begins, the name of a pin, or one of booted, staged, next and rollback.
Images of other kinds, see sysupdate-image image, cannot be mounted.

This needs root. umount(8) takes the mount away again.`

func (s *session) imageMountCommand() *cobra.Command {
	var repository string
	cmd := &cobra.Command{
		Use:   "mount ID DIR",
		Short: "Mount an image of the repository",
		Long:  aboutImageMount,
		Example: `  sysupdate-image image mount 3f60ad1c22b9 /mnt
  sysupdate-image image mount before-migration /mnt
  sysupdate-image image mount --repo repo 3f60ad1c22b9 /mnt`,
		Args:              needArgs(cobra.ExactArgs(2)),
		ValidArgsFunction: thenDirectory(s.completeDeployments(1)),
		RunE: func(_ *cobra.Command, args []string) error {
			if os.Geteuid() != 0 {
				return errors.New("cannot mount image: only root may; image ls and image dump look into it without a mount")
			}
			repo, err := s.openStore(repository)
			if err != nil {
				return err
			}
			defer repo.Close()
			id, err := s.storedNamed(repo, args[0])
			if err != nil {
				return fmt.Errorf("cannot mount image: %w", err)
			}
			return mountStored(repo, id, args[1])
		},
	}
	addRepositoryFlag(cmd, &repository)
	return cmd
}

func mountStored(repo *repo.Repository, id, dir string) error {
	image, err := repo.OpenImage(id)
	if err != nil {
		return err
	}
	defer image.Close()
	return mount.Mount(image, repo.ObjectsDir(), dir, mount.Options{
		Source: "composefs:" + id, Verity: !repo.Insecure(),
	})
}
