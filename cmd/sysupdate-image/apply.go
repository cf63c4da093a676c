package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/update"
)

// softRebootModes are the values of --soft-reboot.
var softRebootModes = []string{string(update.IfPossible), string(update.IfPossibleOrFail)}

type applyFlags struct {
	plan, check, reboot, kexec, quiet, asJSON, force bool
	downloadOnly, fromDownloaded                     bool
	progressFD                                       int
	bootc                                            bool // --check answers as bootc does
	etcConflicts, softReboot                         string
	reuse                                            []string
	verity                                           update.Verity
	source                                           sourceFlags
}

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
	cmd.Flags().BoolVar(&f.plan, "plan", false, "show what would be done, and change nothing")
	cmd.Flags().BoolVar(&f.check, "check", false, "report whether there is an update, and change nothing")
	cmd.Flags().BoolVar(&f.reboot, "reboot", false, "reboot into the new system at once")
	cmd.Flags().BoolVarP(&f.quiet, "quiet", "q", false, "print only the result")
	cmd.Flags().BoolVar(&f.asJSON, "json", false, "print the result as JSON, with the time that each step took")
	cmd.Flags().StringVar(&f.softReboot, "soft-reboot", "",
		"keep the kernel and restart user space, if that is possible: `MODE` is auto (otherwise reboot) or required (otherwise fail)")
	cmd.Flags().BoolVar(&f.kexec, "kexec", false, "reboot into the new system at once, without the firmware")
	completeValues(cmd, "soft-reboot", softRebootModes...)
	f.addDownload(cmd)
	addProgressFlag(cmd, &f.progressFD)
	addEtcConflicts(cmd, &f.etcConflicts)
	cmd.Flags().BoolVar(&f.force, "force", false, "apply an image that has failed to boot here; restore lost boot entries")
	addReuseFlag(cmd, &f.reuse)
	addVerityFlag(cmd, &f.verity)
	f.source.add(cmd)
	return cmd
}

func (s *session) apply(cmd *cobra.Command, ref string, f applyFlags) (err error) {
	ctx := cmd.Context()
	if f.reboot && f.plan {
		return usageError{fmt.Errorf("apply: --plan and --reboot cannot be combined")}
	}
	if f.check && (f.plan || f.reboot || f.kexec || f.softReboot != "") {
		return usageError{errors.New("apply: --check cannot be combined with --plan, --reboot, --soft-reboot or --kexec")}
	}
	if f.reboot && s.sysroot != "" {
		return usageError{fmt.Errorf("apply: --reboot and --sysroot cannot be combined")}
	}
	if f.kexec && (s.sysroot != "" || f.softReboot != "") {
		return usageError{fmt.Errorf("apply: --kexec cannot be combined with --soft-reboot or --sysroot")}
	}
	if f.plan && len(f.reuse) > 0 {
		return usageError{fmt.Errorf(
			"apply: --plan and --reuse cannot be combined: a plan looks only at this machine's repository")}
	}
	if err := f.checkDownload(s, ref); err != nil {
		return err
	}
	policy, err := parseEtcConflicts(cmd.Name(), f.etcConflicts)
	if err != nil {
		return err
	}
	options := update.Options{
		Reference: ref, Force: f.force, Source: f.source.options(), Reuse: f.reuse, Verity: f.verity, EtcConflicts: policy,
		DownloadOnly: f.downloadOnly,
	}
	if cmd.Flags().Changed("soft-reboot") {
		if options.SoftReboot, err = update.ParseWish(f.softReboot); err != nil {
			return usageError{fmt.Errorf("apply: --soft-reboot: %w", err)}
		}
		if s.sysroot != "" {
			return usageError{errors.New("apply: --soft-reboot and --sysroot cannot be combined")}
		}
	}
	if options.Reboot = f.reboot || f.kexec && !f.plan; f.kexec {
		options.Kexec = update.IfPossibleOrFail
	}
	report, done, err := s.reporter(ctx, f.quiet, f.progressFD)
	if err != nil {
		return err
	}
	defer func() { done(err) }()
	if f.check {
		return s.check(ctx, options, report, f)
	}
	if f.plan {
		return s.plan(ctx, options, report, f.asJSON)
	}
	return s.deploy(ctx, options, report, f)
}

// deploy makes an image the next to boot, and reboots if that was asked for.
func (s *session) deploy(ctx context.Context, o update.Options, report update.Reporter, f applyFlags) error {
	open, apply := s.open, (*update.Machine).Apply
	if f.fromDownloaded {
		open, apply = s.openToSwitch, applyDownloaded
	}
	m, err := open()
	if err != nil {
		return err
	}
	defer m.Close()
	result, err := apply(m, ctx, o, report)
	if err != nil {
		return err
	}
	if err := s.printResult(result, f.asJSON, f.quiet); err != nil || !o.Reboot || !result.Outcome.Boots() {
		return err
	}
	return m.Reboot(ctx, result)
}

// An availableError ends the program with exitAvailable: it has said what there is.
type availableError struct{}

func (availableError) Error() string { return "an update is available" }

// check reports whether there is an update.
func (s *session) check(ctx context.Context, o update.Options, r update.Reporter, f applyFlags) error {
	m, err := update.OpenToPlan(s.machine(), s.WarnOf)
	if err != nil {
		return err
	}
	defer m.Close()
	u, err := m.Check(ctx, o, r)
	if err != nil {
		return err
	}
	switch {
	case f.asJSON:
		err = s.PrintJSON(u)
	case f.bootc:
		err = s.PrintBootcUpdate(u, f.quiet)
	default:
		err = s.PrintUpdate(u, f.quiet)
	}
	if err == nil && u.Available {
		return availableError{}
	}
	return err
}

// plan shows what apply would fetch.
func (s *session) plan(ctx context.Context, o update.Options, r update.Reporter, asJSON bool) error {
	m, err := update.OpenToPlan(s.machine(), s.WarnOf)
	if err != nil {
		return err
	}
	defer m.Close()
	plan, err := m.Plan(ctx, o, r)
	if err != nil {
		return err
	}
	if asJSON {
		return s.PrintJSON(plan)
	}
	return s.PrintPlan(plan, o.EtcConflicts)
}

func (s *session) printResult(r update.Result, asJSON, quiet bool) error {
	if asJSON {
		return s.PrintJSON(r)
	}
	return s.PrintResult(r, quiet)
}

// addEtcConflicts adds the flag with the policy for conflicts in /etc.
func addEtcConflicts(cmd *cobra.Command, value *string) {
	cmd.Flags().StringVar(value, "etc-conflicts", "",
		"`POLICY` for conflicts in /etc: fail (the default), keep (the local version) or new (the image's version)")
	completeValues(cmd, "etc-conflicts",
		string(deployment.ConflictsFail), string(deployment.ConflictsKeep), string(deployment.ConflictsNew))
}

func parseEtcConflicts(command, value string) (deployment.ConflictPolicy, error) {
	policy, err := deployment.ParseConflictPolicy(value)
	if err != nil {
		return "", usageError{fmt.Errorf("%s: --etc-conflicts: %w", command, err)}
	}
	return policy, nil
}
