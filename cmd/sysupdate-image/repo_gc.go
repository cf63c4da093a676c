package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/erofs"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/repo"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/ui"
)

const aboutRepoGC = `Remove from the repository what nothing needs: images that are neither deployed nor
have a name (image build --name), layers of container images without a tag, and the
contents that are then in no image and no layer. Deployments stay, all of them.

apply does this by itself. An interrupted gc is completed by the next.`

func (s *session) repoGCCommand() *cobra.Command {
	var path string
	var dryRun, asJSON bool
	cmd := &cobra.Command{
		Use:   "gc",
		Short: "Remove what nothing needs",
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
					s.Warn(fmt.Sprintf("deployment %s has no image that can be used; see repo fsck", deployment.ID(id).Short()))
					continue
				}
				roots.Images = append(roots.Images, id)
			}
			report, err := repository.GC(cmd.Context(), roots, dryRun)
			if err != nil {
				return err
			}
			for _, id := range report.Unreadable {
				s.Warn(fmt.Sprintf("image %s is damaged, see repo fsck --repair; all contents stay", deployment.ID(id).Short()))
			}
			if asJSON {
				return s.PrintJSON(ui.NewGCJSON(report, dryRun))
			}
			return s.PrintGC(report, dryRun)
		},
	}
	cmd.Flags().BoolVarP(&dryRun, "dry-run", "n", false, "say what would be removed, and remove nothing")
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	addRepositoryFlag(cmd, &path)
	return cmd
}
