package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/repair"
	"github.com/sysupdate-image/sysupdate-image/internal/ui"
)

const aboutRepoFsck = `Check the whole repository: read every object and compare it with the digest that is its
name, follow every link, read every layer and image, check that all contents exist, and
check modes. Each problem is shown with what --repair would do about it.

--repair fetches layers with damaged or missing contents again, from the origin of the
deployment and by the digest of its manifest, even if the tag has moved. Fetched contents
are verified before they replace damaged ones, also on a running machine; a program that
has a damaged file open keeps it, so restart the program or the machine. --repair also
rebuilds images from their layers, corrects modes, enables fs-verity on objects, and
removes links that lead nowhere and incomplete layers, which the next apply fetches
again. Afterwards everything is checked once more.

--offline repairs without fetching anything.

The exit code is 0 if there are no problems (with --repair, if none remain), and 1 if
there are.`

type fsckFlags struct {
	path                    string
	repair, offline, asJSON bool
	source                  sourceFlags
}

func (s *session) repoFsckCommand() *cobra.Command {
	var f fsckFlags
	cmd := &cobra.Command{
		Use:   "fsck",
		Short: "Check the repository, and repair it",
		Long:  aboutRepoFsck,
		Example: `  sysupdate-image repo fsck
  sysupdate-image repo fsck --repair
  sysupdate-image repo fsck --repair --offline`,
		Args: needArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.offline && !f.repair {
				return usageError{errors.New("repo fsck: --offline needs --repair")}
			}
			return s.fsck(cmd, f)
		},
	}
	cmd.Flags().BoolVar(&f.repair, "repair", false, "repair the problems that can be repaired")
	cmd.Flags().BoolVar(&f.offline, "offline", false, "repair without fetching anything")
	cmd.Flags().BoolVar(&f.asJSON, "json", false, "print JSON")
	addRepositoryFlag(cmd, &f.path)
	f.source.add(cmd)
	return cmd
}

func (s *session) fsck(cmd *cobra.Command, f fsckFlags) error {
	r, err := s.openRepository(f.path, f.repair)
	if err != nil {
		return err
	}
	defer r.Close()
	report, err := r.Check(cmd.Context(), repair.Options{
		Repair: f.repair, Offline: f.offline, Source: f.source.options(), Tell: s.Say,
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
