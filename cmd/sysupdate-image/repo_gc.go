package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/repocheck"
	"github.com/sysupdate-image/sysupdate-image/internal/store"
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
			repo, err := s.openRepository(path, !dryRun)
			if err != nil {
				return err
			}
			defer repo.Close()
			roots := store.Roots{ObjectsOf: repocheck.ObjectsOf}
			for _, id := range repo.deployments {
				if !repo.HasImage(id) {
					s.warn(fmt.Sprintf("deployment %s has no image that can be used; see repo fsck", deployment.ID(id).Short()))
					continue
				}
				roots.Images = append(roots.Images, id)
			}
			report, err := repo.GC(cmd.Context(), roots, dryRun)
			if err != nil {
				return err
			}
			if asJSON {
				return s.printJSON(newGCReport(report, dryRun))
			}
			return s.printGC(report, dryRun)
		},
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "say what would be removed, and remove nothing")
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

func newGCReport(r store.Report, dryRun bool) gcReport {
	return gcReport{
		dryRun, append([]string{}, r.Images...), append([]string{}, r.Streams...), append([]string{}, r.Refs...),
		r.Objects, r.Bytes, r.KeptObjects,
	}
}

func (s *session) printGC(r store.Report, dryRun bool) error {
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

const aboutRepoFsck = `Check the whole repository: read every object and compare it with the digest that is
its name, follow every link, read every layer and image, see to it that all contents
are there, and look at modes.

--repair repairs what can be repaired without the network: it sets modes, protects
objects with fs-verity, builds missing images again from their layers, and lets go of
links that lead nowhere and of layers that are not whole, so that the next apply
fetches these again.

The exit code is 1 if there are problems (with --repair, if some are left).`

func (s *session) repoFsckCommand() *cobra.Command {
	var path string
	var repair, asJSON bool
	cmd := &cobra.Command{
		Use:   "fsck",
		Short: "Find out what is wrong with the repository",
		Long:  aboutRepoFsck,
		Example: `  sysupdate-image repo fsck
  sysupdate-image repo fsck --repair`,
		Args: needArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			repo, err := s.openRepository(path, repair)
			if err != nil {
				return err
			}
			defer repo.Close()
			report, err := repocheck.Run(cmd.Context(), repo.Repository, repo.deployments, repair)
			if err != nil {
				return err
			}
			if asJSON {
				err = s.printJSON(report)
			} else {
				err = s.printFsck(report, repair)
			}
			if left := report.Left(); err == nil && left > 0 {
				err = errors.New("the repository has " + count(left, "problem"))
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&repair, "repair", false, "repair what can be repaired from what is there")
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	addRepositoryFlag(cmd, &path)
	return cmd
}

func (s *session) printFsck(r repocheck.Report, repair bool) error {
	for _, f := range r.Findings {
		line := f.Problem.String()
		switch {
		case f.Repaired:
			line += " (repaired)"
		case f.Why != "":
			line += " (" + f.Why + ")"
		}
		fmt.Fprintln(s.out, line)
	}
	_, err := fmt.Fprintf(s.out, "%s, %s; %s, %s, %s\n", count(r.Objects, "object"), size(r.Bytes),
		count(r.Images, "image"), count(r.Streams, "stream"), count(r.Refs, "ref"))
	if repair && err == nil && len(r.Findings) > 0 {
		_, err = fmt.Fprintf(s.out, "%d of %s repaired\n", len(r.Findings)-r.Left(), count(len(r.Findings), "problem"))
	}
	return err
}
