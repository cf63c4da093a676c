package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/mount"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/repo"
	"github.com/sysupdate-image/sysupdate-image/internal/inspect"
)

func (s *session) imageMountCommand() *cobra.Command {
	var repository string
	cmd := &cobra.Command{
		Use:               "mount ID DIR",
		Short:             "Mount an image of the repository",
		Args:              needArgs(cobra.ExactArgs(2)),
		ValidArgsFunction: thenDirectory(s.completeDeployments(1)),
		RunE: func(_ *cobra.Command, args []string) error {
			if os.Geteuid() != 0 {
				return errors.New("cannot mount image: must be run as root; image ls and image dump need no mount")
			}
			repo, err := s.openStore(repository)
			if err != nil {
				return err
			}
			defer repo.Close()
			id, err := inspect.StoredID(repo, s.machine(), args[0])
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
