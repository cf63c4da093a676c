package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/erofs"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/repo"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
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
				if !repository.HasImage(id) {
					s.warn(fmt.Sprintf("deployment %s has no image that can be used; see repo fsck", deployment.ID(id).Short()))
					continue
				}
				roots.Images = append(roots.Images, id)
			}
			report, err := repository.GC(cmd.Context(), roots, dryRun)
			if err != nil {
				return err
			}
			for _, id := range report.Unreadable {
				s.warn(fmt.Sprintf("image %s is damaged, see repo fsck --repair; all contents stay", deployment.ID(id).Short()))
			}
			if asJSON {
				return s.printJSON(newGCReport(report, dryRun))
			}
			return s.printGC(report, dryRun)
		},
	}
	cmd.Flags().BoolVarP(&dryRun, "dry-run", "n", false, "say what would be removed, and remove nothing")
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	addRepositoryFlag(cmd, &path)
	return cmd
}

// gcReport is what repo gc --json says.
type gcReport struct {
	DryRun      bool     `json:"dryRun"`
	Images      []string `json:"images"`
	Streams     []string `json:"streams"`
	Refs        []string `json:"refs"`
	Objects     int      `json:"objects"`
	Bytes       int64    `json:"bytes"` // of the objects
	KeptObjects int      `json:"keptObjects"`
}

func newGCReport(r repo.Report, dryRun bool) gcReport {
	return gcReport{
		dryRun, append([]string{}, r.Images...), append([]string{}, r.Streams...), append([]string{}, r.Refs...),
		r.Objects, r.Bytes, r.KeptObjects,
	}
}

func (s *session) printGC(r repo.Report, dryRun bool) error {
	remove := "Removed"
	if dryRun {
		remove = "Would remove"
	}
	for _, id := range r.Images {
		fmt.Fprintf(s.out, "%s image %s\n", remove, deployment.ID(id).Short())
	}
	for _, name := range r.Streams {
		fmt.Fprintf(s.out, "%s %s\n", remove, shown(name))
	}
	for _, name := range r.Refs {
		fmt.Fprintf(s.out, "%s %s, which leads nowhere\n", remove, shown(name))
	}
	_, err := fmt.Fprintf(s.out, "%s %s, %s; %d stay\n", remove, count(r.Objects, "object"), size(r.Bytes), r.KeptObjects)
	return err
}
