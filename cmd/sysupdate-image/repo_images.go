package main

import (
	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/inspect"
	"github.com/sysupdate-image/sysupdate-image/internal/repair"
)

func (s *session) repoImagesCommand() *cobra.Command {
	var path string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "images",
		Short: "List the images in the repository",
		Args:  needArgs(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			repo, err := s.openStore(path)
			if err != nil {
				return err
			}
			defer repo.Close()
			deployed, err := repair.DeploymentsBeside(s.repositoryPath(path))
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
