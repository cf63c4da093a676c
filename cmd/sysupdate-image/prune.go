package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/update"
)

const aboutRm = `Remove deployments, with all on disk that no other one needs. Not the booted one, nor
what is staged or boots next, nor a pinned one: the message says what to do first.
The deployment that rollback would go to can be removed.
` + namingDeployments

func (s *session) rmCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "rm DEPLOYMENT...",
		Short: "Remove deployments",
		Long:  aboutRm,
		Example: `  sysupdate-image rm 3f9c01
  sysupdate-image rm rollback`,
		Args:              needArgs(cobra.MinimumNArgs(1)),
		ValidArgsFunction: s.completeDeployments(-1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.change(func(m *update.Machine) error {
				report, err := m.Remove(cmd.Context(), args)
				if err != nil {
					return advise(err)
				}
				return s.printPruned(report, false)
			})
		},
	}
}

const aboutPrune = `Remove what the machine does not need: deployments that are neither booted, staged,
next, pinned nor the ones to fall back to; then kernels, images and layers that no
deployment has, and what a crash has left behind. keep = N in
/etc/sysupdate-image/update.toml has N deployments stay besides these.

apply does this by itself.`

func (s *session) pruneCommand() *cobra.Command {
	var dryRun, asJSON bool
	cmd := &cobra.Command{
		Use:   "prune",
		Short: "Remove what is not needed",
		Long:  aboutPrune,
		Example: `  sysupdate-image prune --dry-run
  sysupdate-image prune`,
		Args: needArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.prune(cmd.Context(), dryRun, asJSON)
		},
	}
	cmd.Flags().BoolVarP(&dryRun, "dry-run", "n", false, "say what would be removed, and remove nothing")
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return cmd
}

func (s *session) prune(ctx context.Context, dryRun, asJSON bool) error {
	tell := func(r update.PruneReport) error {
		if asJSON {
			return s.printJSON(newPruneJSON(r, dryRun))
		}
		return s.printPruned(r, dryRun)
	}
	if dryRun {
		report, err := update.PlanPrune(ctx, s.sysroot, s.warn)
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

// pruneJSON is what prune --json says.
type pruneJSON struct {
	Deployments []deployment.ID `json:"deployments"`
	Kept        []deployment.ID `json:"kept"`
	BootFiles   []string        `json:"bootFiles"` // below the root of the boot partition
	Files       []string        `json:"files"`     // below the physical root
	Repository  gcReport        `json:"repository"`
}

func newPruneJSON(r update.PruneReport, dryRun bool) pruneJSON {
	return pruneJSON{
		append([]deployment.ID{}, r.Deployments...), append([]deployment.ID{}, r.Kept...),
		append([]string{}, r.BootFiles...), append([]string{}, r.Leftovers...), newGCReport(r.Repository, dryRun),
	}
}

// printPruned says what went: the deployments, and for a dry run every file.
func (s *session) printPruned(r update.PruneReport, dryRun bool) error {
	files := len(r.BootFiles) + len(r.Leftovers)
	if len(r.Deployments)+files+len(r.Repository.Images)+len(r.Repository.Streams)+r.Repository.Objects == 0 {
		_, err := fmt.Fprintln(s.out, "Nothing to remove")
		return err
	}
	r.Repository.Refs = nil // they follow from the deployments
	if !dryRun {
		for _, id := range r.Deployments {
			fmt.Fprintf(s.out, "Removed deployment %s\n", id)
		}
		_, err := fmt.Fprintf(s.out, "Removed %s outside the repository, and in it %s, %s\n",
			count(files, "path"), count(r.Repository.Objects, "object"), size(r.Repository.Bytes))
		return err
	}
	for _, id := range r.Deployments {
		fmt.Fprintf(s.out, "Would remove deployment %s\n", id)
	}
	for _, path := range r.BootFiles {
		fmt.Fprintf(s.out, "Would remove %s from the boot partition\n", shown(path))
	}
	for _, path := range r.Leftovers {
		fmt.Fprintf(s.out, "Would remove %s\n", shown(path))
	}
	return s.printGC(r.Repository, dryRun)
}
