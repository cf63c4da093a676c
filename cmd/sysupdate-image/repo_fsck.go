package main

import (
	"cmp"
	"errors"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/repair"
	"github.com/sysupdate-image/sysupdate-image/internal/ui"
)

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
		Args:  needArgs(cobra.NoArgs),
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
		Repair: f.repair, Offline: f.offline, Source: f.source.options(), Tell: s.Say, Watcher: s.Watcher(cmd.Context()),
	})
	if err != nil {
		return err
	}
	if f.asJSON {
		err = s.PrintJSON(report)
	} else {
		err = s.PrintFsck(report, f.repair)
	}
	return cmp.Or(err, ui.FsckVerdict(report, f.repair))
}
