package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/update"
)

func (s *session) rollbackCommand() *cobra.Command {
	var f rebootFlags
	cmd := &cobra.Command{
		Use:               "rollback [DEPLOYMENT]",
		Short:             "Make the previous deployment the next to boot",
		Args:              needArgs(cobra.MaximumNArgs(1)),
		ValidArgsFunction: s.completeDeployments(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.apply && s.sysroot != "" {
				return usageError{errors.New("rollback: --reboot and --sysroot cannot be combined")}
			}
			if err := s.checkSoftRollback(cmd, f); err != nil {
				return err
			}
			return s.rollback(cmd.Context(), first(args), f)
		},
	}
	f.add(cmd)
	return cmd
}

// checkSoftRollback refuses a soft reboot that must be possible: there is no root prepared for
// one but that of a staged deployment.
func (s *session) checkSoftRollback(cmd *cobra.Command, f rebootFlags) error {
	if !cmd.Flags().Changed("soft-reboot") {
		return nil
	}
	wish, err := update.ParseWish(f.softReboot)
	if err != nil {
		return usageError{fmt.Errorf("rollback: --soft-reboot: %w", err)}
	}
	if wish == update.IfPossibleOrFail {
		return errors.New("a rollback needs a reboot: a soft reboot can only continue with a staged deployment")
	}
	s.Say("No soft reboot: it can only continue with a staged deployment")
	return nil
}

func (s *session) rollback(ctx context.Context, name string, f rebootFlags) error {
	return s.switchBoot(func(m *update.Machine) error {
		r, err := m.Rollback(ctx, name)
		if err != nil {
			return err
		}
		if err := s.PrintRollback(r); err != nil || !f.apply {
			return err
		}
		return m.Reboot(ctx, update.Result{})
	})
}
