package main

import (
	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/ui"
)

func (s *session) repoGCCommand() *cobra.Command {
	var path string
	var dryRun, asJSON bool
	cmd := &cobra.Command{
		Use:   "gc",
		Short: "Remove unused images, layers and contents",
		Args:  needArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			repository, err := s.openRepository(path, !dryRun)
			if err != nil {
				return err
			}
			defer repository.Close()
			report, err := repository.Collect(cmd.Context(), dryRun, s.WarnOf)
			if err != nil {
				return err
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
