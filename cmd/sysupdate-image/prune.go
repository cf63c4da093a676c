package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/ui"
	"github.com/sysupdate-image/sysupdate-image/internal/update"
)

const aboutPrune = `Remove what the machine does not need: deployments that are not booted, staged, next,
pinned or the ones to fall back to; kernels, images and layers of no deployment; and what
a crash has left behind. keep = N in /etc/sysupdate-image/update.toml keeps N more
deployments.

apply does this automatically, except that a deployment which has lost its boot entry stays.`

func (s *session) pruneCommand() *cobra.Command {
	var dryRun, asJSON bool
	cmd := &cobra.Command{
		Use:   "prune",
		Short: "Remove deployments and files that are not needed",
		Long:  aboutPrune,
		Example: `  sysupdate-image prune --dry-run
  sysupdate-image prune`,
		Args: needArgs(cobra.NoArgs),
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
