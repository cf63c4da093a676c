package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/erofs"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/repo"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/ui"
)

const aboutRepoGC = `Remove what nothing in the repository needs: images that are neither deployed nor named
(image build --name), layers of container images without a tag, and the contents that no
remaining image or layer has. All deployments stay.

apply does this automatically. The next gc completes an interrupted one.`

func (s *session) repoGCCommand() *cobra.Command {
	var path string
	var dryRun, asJSON bool
	cmd := &cobra.Command{
		Use:   "gc",
		Short: "Remove unused images, layers and contents",
		Long:  aboutRepoGC,
		Example: `  sysupdate-image repo gc --dry-run
  sysupdate-image repo gc`,
		Args: needArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			repository, err := s.openRepository(path, !dryRun)
			if err != nil {
				return err
			}
			defer repository.Close()
			roots := repo.Roots{EachObject: erofs.EachObject}
			for _, id := range repository.deployments {
				found, err := repository.HasImage(id)
				if err != nil {
					return err
				}
				if !found {
					s.Warn(fmt.Sprintf("the image of deployment %s is missing or damaged; see repo fsck", deployment.ID(id).Short()))
					continue
				}
				roots.Images = append(roots.Images, id)
			}
			report, err := repository.GC(cmd.Context(), roots, dryRun)
			if err != nil {
				return err
			}
			for _, id := range report.Unreadable {
				s.Warn(fmt.Sprintf("image %s is damaged: all contents stay; see repo fsck --repair", deployment.ID(id).Short()))
			}
			if asJSON {
				return s.PrintJSON(ui.NewGCJSON(report, dryRun))
			}
			return s.PrintGC(report, dryRun)
		},
	}
	cmd.Flags().BoolVarP(&dryRun, "dry-run", "n", false, "show what would be removed, and remove nothing")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	addRepositoryFlag(cmd, &path)
	return cmd
}
