package main

import (
	"context"
	"errors"
	"slices"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/etc/edit"
	"github.com/sysupdate-image/sysupdate-image/internal/ui"
)

func (s *session) etcResetCommand() *cobra.Command {
	var dryRun, force, asJSON bool
	cmd := &cobra.Command{
		Use:               "reset PATH...",
		Short:             "Reset files in /etc to the image's version",
		Args:              needArgs(cobra.MinimumNArgs(1)),
		ValidArgsFunction: s.completeEtc,
		RunE: func(cmd *cobra.Command, args []string) error {
			paths, err := cleanEtcPaths("etc reset", args)
			if err != nil {
				return err
			}
			if slices.Contains(paths, "/etc") {
				return usageError{errors.New(
					"etc reset: resetting all of /etc would delete users, host keys and the hostname; name the files to reset")}
			}
			return s.etcReset(cmd.Context(), paths, dryRun, force, asJSON)
		},
	}
	cmd.Flags().BoolVarP(&dryRun, "dry-run", "n", false, "show what would be done, and change nothing")
	cmd.Flags().BoolVar(&force, "force", false, "also reset account files (passwd, shadow and the like)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func (s *session) etcReset(ctx context.Context, paths []string, dryRun, force, asJSON bool) error {
	e, err := edit.Open(ctx, s.machine(), true)
	if err != nil {
		return err
	}
	defer e.Close()
	steps, err := e.PlanReset(ctx, paths, force)
	if err != nil {
		return err
	}
	if !dryRun {
		if err := e.Apply(ctx, steps); err != nil {
			return err
		}
	}
	if asJSON {
		return s.PrintJSON(ui.EtcReset{Deployment: string(e.ID), DryRun: dryRun, Steps: append([]edit.Step{}, steps...)})
	}
	return s.PrintReset(steps, dryRun)
}
