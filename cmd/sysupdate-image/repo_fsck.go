package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/records"
	"github.com/sysupdate-image/sysupdate-image/internal/repair"
	"github.com/sysupdate-image/sysupdate-image/internal/ui"
)

const aboutRepoFsck = `Check the whole repository: read every object and compare it with the digest that is
its name, follow every link, read every layer and image, see to it that all contents
are there, and look at modes. Behind each problem it says what --repair would do.

--repair fetches the layers again in which contents are damaged or missing, from where
the deployment came, by the digest of its manifest and whatever the tag names by now.
What comes is verified and replaces what is damaged, also while the machine runs; a
program that has a damaged file open keeps that, so restart it, or the machine. It also
builds images again from their layers, sets modes, protects objects with fs-verity, and
lets go of links that lead nowhere and of layers that are not whole, so that the next
apply fetches these again. At the end everything is checked once more.

With --offline nothing is fetched.

The exit code is 0 if all is well (with --repair, if it is now), and 1 if there are
problems, or if some are left.`

type fsckFlags struct {
	path                    string
	repair, offline, asJSON bool
	source                  sourceFlags
}

func (s *session) repoFsckCommand() *cobra.Command {
	var f fsckFlags
	cmd := &cobra.Command{
		Use:   "fsck",
		Short: "Find out what is wrong with the repository",
		Long:  aboutRepoFsck,
		Example: `  sysupdate-image repo fsck
  sysupdate-image repo fsck --repair
  sysupdate-image repo fsck --repair --offline`,
		Args: needArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.offline && !f.repair {
				return usageError{errors.New("repo fsck: --offline is for --repair; nothing else fetches anything")}
			}
			return s.fsck(cmd, f)
		},
	}
	cmd.Flags().BoolVar(&f.repair, "repair", false, "repair what can be repaired")
	cmd.Flags().BoolVar(&f.offline, "offline", false, "repair from what is there, and fetch nothing")
	cmd.Flags().BoolVar(&f.asJSON, "json", false, "as JSON")
	addRepositoryFlag(cmd, &f.path)
	f.source.add(cmd)
	return cmd
}

func (s *session) fsck(cmd *cobra.Command, f fsckFlags) error {
	repo, err := s.openRepository(f.path, f.repair)
	if err != nil {
		return err
	}
	defer repo.Close()
	origins, err := originsOf(repo.physical, repo.deployments)
	if err != nil {
		return err
	}
	report, err := repair.Run(cmd.Context(), repo.Repository, repair.Options{
		Deployments: repo.deployments, Physical: repo.physical, Origins: origins,
		Repair: f.repair, Offline: f.offline, Source: f.source.options(),
		Tell: s.Say,
	})
	if err != nil {
		return err
	}
	if f.asJSON {
		err = s.PrintJSON(report)
	} else {
		err = s.PrintFsck(report, f.repair)
	}
	if left := report.Left(); err == nil && left > 0 {
		err = errors.New("the repository has " + ui.Count(left, "problem"))
	}
	return err
}

// originsOf returns where the deployments below a physical root came from. One without
// an origin, or with one that makes no sense, has none.
func originsOf(physical *os.Root, deployments []string) ([]repair.Origin, error) {
	var origins []repair.Origin
	for _, id := range deployments {
		o, err := records.LoadOrigin(physical.FS(), deployment.ID(id))
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, records.ErrDamaged) {
			return nil, fmt.Errorf("cannot tell where deployments came from: %w", err)
		}
		if o.Reference == "" || o.ManifestDigest == "" {
			continue // status reports a damaged one
		}
		origins = append(origins, repair.Origin{Deployment: id, Reference: o.Reference, ManifestDigest: o.ManifestDigest, Policy: o.Policy})
	}
	return origins, nil
}
