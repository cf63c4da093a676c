package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/install"
	"github.com/sysupdate-image/sysupdate-image/internal/ui"
	"github.com/sysupdate-image/sysupdate-image/internal/update"
)

func (s *session) resetCommand() *cobra.Command {
	var o update.ResetOptions
	var plan, confirm, asJSON, quiet, reboot bool
	var keys string
	cmd := &cobra.Command{
		Use:               "reset [DEPLOYMENT]",
		Short:             "Give the machine a fresh /etc and /var",
		Args:              needArgs(cobra.MaximumNArgs(1)),
		ValidArgsFunction: s.completeDeployments(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			o.Name = first(args)
			switch {
			case confirm && (plan || reboot || o.Name != "" || keys != "" || len(o.KeepEtc) > 0):
				return usageError{errors.New("install reset: --confirm can only be combined with --quiet")}
			case reboot && (s.sysroot != "" || plan):
				return usageError{errors.New("install reset: --reboot cannot be combined with --sysroot or --plan")}
			case confirm:
				return s.confirmReset(cmd, quiet)
			}
			if o.RootKeys, err = install.RootKeys(keys); err != nil {
				return err
			}
			if plan {
				return s.planReset(cmd, o, asJSON)
			}
			return s.reset(cmd, o, quiet, reboot)
		},
	}
	cmd.Flags().StringArrayVar(&o.KeepEtc, "keep-etc", nil, "keep `FILE` of /etc (can be repeated)")
	cmd.Flags().BoolVar(&confirm, "confirm", false, "remove the state that is kept")
	cmd.Flags().BoolVar(&plan, "plan", false, "show what would be done, and change nothing")
	cmd.Flags().BoolVar(&asJSON, "json", false, "with --plan: print JSON")
	cmd.Flags().BoolVar(&reboot, "apply", false, "reboot into it at once")
	cmd.Flags().BoolVar(&reboot, "reboot", false, "the same as --apply")
	cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "print only the result")
	addKeysFlag(cmd, &keys)
	return cmd
}

func (s *session) planReset(cmd *cobra.Command, o update.ResetOptions, asJSON bool) error {
	m, err := update.OpenToPlan(s.machine(), s.WarnOf)
	if err != nil {
		return err
	}
	defer m.Close()
	p, err := m.PlanReset(cmd.Context(), o)
	if err != nil {
		return err
	}
	if asJSON {
		return s.PrintJSON(p)
	}
	return s.PrintResetPlan(p)
}

func (s *session) reset(cmd *cobra.Command, o update.ResetOptions, quiet, reboot bool) error {
	return s.change(func(m *update.Machine) error {
		p, err := m.PlanReset(cmd.Context(), o)
		if err != nil {
			return err
		}
		if err := m.Reset(cmd.Context(), p, s.Reporter(cmd.Context(), quiet)); err != nil {
			return err
		}
		if err := s.PrintFreshState(p); err != nil || !reboot {
			return err
		}
		return m.Reboot(cmd.Context(), update.Result{})
	})
}

func (s *session) confirmReset(cmd *cobra.Command, quiet bool) error {
	return s.change(func(m *update.Machine) error {
		reset, err := m.ConfirmReset(s.Reporter(cmd.Context(), quiet))
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(s.Out, ui.ConfirmedReset(reset))
		return err
	})
}
