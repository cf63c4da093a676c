package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/ui"
	"github.com/sysupdate-image/sysupdate-image/internal/update"
)

func (s *session) pruneCommand() *cobra.Command {
	var dryRun, asJSON bool
	cmd := &cobra.Command{
		Use:   "prune",
		Short: "Remove deployments and files that are not needed",
		Args:  needArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.prune(cmd.Context(), dryRun, asJSON)
		},
	}
	cmd.Flags().BoolVarP(&dryRun, "dry-run", "n", false, "show what would be removed, and remove nothing")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func (s *session) prune(ctx context.Context, dryRun, asJSON bool) error {
	tell := func(r update.PruneReport) error {
		if asJSON {
			return s.PrintJSON(ui.NewPruneJSON(r, dryRun))
		}
		return s.PrintPruned(r, dryRun)
	}
	if dryRun {
		report, err := update.PlanPrune(ctx, s.machine(), s.WarnOf)
		if err != nil {
			return err
		}
		return tell(report)
	}
	return s.change(func(m *update.Machine) error {
		report, err := m.Prune(ctx, false)
		if err != nil {
			return err
		}
		return tell(report)
	})
}
