package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/update"
)

func (s *session) applyCommand() *cobra.Command {
	var f applyFlags
	cmd := &cobra.Command{
		Use:   "apply [REF]",
		Short: "Fetch and verify an image, and make it the next to boot",
		Args:  needArgs(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 && args[0] == "" {
				return usageError{errors.New("apply: REF is empty; omit it to use the reference that this machine follows")}
			}
			return s.apply(cmd, first(args), f)
		},
	}
	f.add(cmd)
	return cmd
}

// apply does what the flags ask for: it also serves upgrade and switch.
func (s *session) apply(cmd *cobra.Command, ref string, f applyFlags) error {
	options, err := f.options(s, cmd, ref)
	if err != nil {
		return err
	}
	report, done, err := s.reporter(cmd.Context(), f.quiet, f.progressFD)
	if err != nil {
		return err
	}
	do := s.deploy
	switch {
	case f.check:
		do = s.check
	case f.plan:
		do = s.plan
	}
	err = do(cmd.Context(), options, report, f)
	done(err)
	return err
}

// deploy makes an image the next to boot, and reboots if that was asked for.
func (s *session) deploy(ctx context.Context, o update.Options, r update.Reporter, f applyFlags) error {
	change, apply := s.change, (*update.Machine).Apply
	if f.fromDownloaded {
		change, apply = s.switchBoot, applyDownloaded
	}
	return change(func(m *update.Machine) error {
		result, err := apply(m, ctx, o, r)
		if err != nil {
			return err
		}
		if f.asJSON {
			err = s.PrintJSON(result)
		} else {
			err = s.PrintResult(result, f.quiet)
		}
		if err != nil || !o.Reboot || !result.Outcome.Boots() {
			return err
		}
		return m.Reboot(ctx, result)
	})
}

// applyDownloaded is ApplyDownloaded with the arguments of Apply.
func applyDownloaded(m *update.Machine, ctx context.Context, o update.Options, _ update.Reporter) (update.Result, error) {
	return m.ApplyDownloaded(ctx, o)
}
