package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/install"
)

func (s *session) toExistingRootCommand() *cobra.Command {
	var f existingFlags
	cmd := &cobra.Command{
		Use:               "to-existing-root [ROOT] --image REF",
		Short:             "Install beside the system of a machine",
		Args:              needArgs(cobra.MaximumNArgs(1)),
		ValidArgsFunction: completeDirectory,
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := f.options(s, first(args))
			if err != nil {
				return err
			}
			return s.toExistingRoot(cmd.Context(), o, f)
		},
	}
	f.add(cmd)
	return cmd
}

func (s *session) toExistingRoot(ctx context.Context, o install.ExistingOptions, f existingFlags) error {
	report := s.Reporter(ctx, f.quiet)
	p, err := install.PlanExisting(ctx, o, report, s.WarnOf)
	switch {
	case err != nil:
		return err
	case f.plan && f.asJSON:
		return s.PrintJSON(p)
	case f.plan:
		return s.PrintExistingPlan(p)
	}
	s.changes()
	result, err := p.Install(ctx, report, s.WarnOf)
	if err != nil {
		return err
	}
	s.PrintWayBack(p)
	if f.asJSON {
		return s.PrintJSON(result)
	}
	return s.PrintResult(result, f.quiet)
}
