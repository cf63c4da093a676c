package main

import (
	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/inspect"
	"github.com/sysupdate-image/sysupdate-image/internal/repair"
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
