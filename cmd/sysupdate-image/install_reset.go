package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/update"
)

func (s *session) resetCommand() *cobra.Command {
	var f resetFlags
	cmd := &cobra.Command{
		Use:               "reset [DEPLOYMENT]",
		Short:             "Give the machine a fresh /etc and /var",
		Args:              needArgs(cobra.MaximumNArgs(1)),
		ValidArgsFunction: s.completeDeployments(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := f.options(s, first(args))
			switch {
			case err != nil:
				return err
			case f.confirm:
				return s.confirmReset(cmd.Context(), f)
			case f.plan:
				return s.planReset(cmd.Context(), o, f)
			}
			return s.reset(cmd.Context(), o, f)
		},
	}
	f.add(cmd)
	return cmd
}

func (s *session) planReset(ctx context.Context, o update.ResetOptions, f resetFlags) error {
	return s.look(func(m *update.Machine) error {
		p, err := m.PlanReset(ctx, o)
		if err != nil {
			return err
		}
		if f.asJSON {
			return s.PrintJSON(p)
		}
		return s.PrintResetPlan(p)
	})
}

func (s *session) reset(ctx context.Context, o update.ResetOptions, f resetFlags) error {
	return s.change(func(m *update.Machine) error {
		p, err := m.PlanReset(ctx, o)
		if err != nil {
			return err
		}
		if err := m.Reset(ctx, p, s.Reporter(ctx, f.quiet)); err != nil {
			return err
		}
		if err := s.PrintFreshState(p); err != nil || !f.reboot {
			return err
		}
		return m.Reboot(ctx, update.Result{})
	})
}

func (s *session) confirmReset(ctx context.Context, f resetFlags) error {
	return s.change(func(m *update.Machine) error {
		reset, err := m.ConfirmReset(s.Reporter(ctx, f.quiet))
		if err != nil {
			return err
		}
		return s.PrintConfirmedReset(reset)
	})
}
