package main

import (
	"context"
	"errors"
	"slices"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/etc/edit"
	"github.com/sysupdate-image/sysupdate-image/internal/ui"
)

const aboutEtcReset = `Make each PATH in /etc what the image has there, and say what that took: a changed file is
replaced, a deleted one brought back, one that the image does not have is removed. Of a
directory, all that is in it. From then on it follows the image again.

Each file is replaced at one stroke, and programs see it at once. What was there is gone:
--dry-run says what would be done, and etc diff what would be lost. Refused are all of
/etc, what is below a mount point, and, without --force, the files with the accounts.

With --json: {"deployment": ID, "dryRun": BOOL, "steps": [{"do": "restore|remove|make|
metadata", "path"}]}.`

func (s *session) etcResetCommand() *cobra.Command {
	var dryRun, force, asJSON bool
	cmd := &cobra.Command{
		Use:   "reset PATH...",
		Short: "Bring back what the image has in /etc",
		Long:  aboutEtcReset,
		Example: `  sysupdate-image etc reset --dry-run /etc/ssh
  sysupdate-image etc reset /etc/ssh/sshd_config /etc/motd`,
		Args:              needArgs(cobra.MinimumNArgs(1)),
		ValidArgsFunction: s.completeEtc,
		RunE: func(cmd *cobra.Command, args []string) error {
			paths, err := cleanEtcPaths("etc reset", args)
			if err != nil {
				return err
			}
			if slices.Contains(paths, "/etc") {
				return usageError{errors.New("etc reset: all of /etc would take users, host keys and the machine's name with it: name the files")}
			}
			return s.etcReset(cmd.Context(), paths, dryRun, force, asJSON)
		},
	}
	cmd.Flags().BoolVarP(&dryRun, "dry-run", "n", false, "say what would be done, and do nothing")
	cmd.Flags().BoolVar(&force, "force", false, "also reset files with the accounts of this machine")
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return cmd
}

func (s *session) etcReset(ctx context.Context, paths []string, dryRun, force, asJSON bool) error {
	e, err := edit.Open(ctx, s.sysroot, true)
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
