package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/update"
)

const aboutApply = `Fetch an image, verify it, and make it the system that boots next.

REF is registry/name:tag, or one of docker://, oci:, oci-archive:, docker-archive:
and dir: with what follows in containers-transports(5). From then on the machine
follows REF: apply without REF fetches the newest of it.

The running system is not touched: the new one takes over at the next reboot, with
this machine's changes to /etc and with /var as it is. Until then, and after a power
cut at any moment, the machine boots what it boots now. What was fetched by an
apply that did not get through is found again and not fetched twice.

An image whose kernel is a unified kernel image in /boot/EFI/Linux is sealed: it is
refused unless it has the digest that its command line names.

Where the system that boots now demands fs-verity of every file, the new one does too,
and --allow-missing-verity alone gives that up (composefs=? on the kernel command line).
Where it does not, --allow-missing-verity=false demands it from then on.

Where a local change to /etc and the image exclude each other (a local file where the
image has a directory, a local directory where it has a file, local files in a directory
that it no longer has), nothing is staged. --etc-conflicts=keep keeps what is local,
--etc-conflicts=new takes what the image has; the side that loses goes to
/etc/.conflicts. All else that is local wins without asking, file by file.

An image whose deployment has failed to boot here is not applied again, so that a
timer does not boot it over and over, until REF leads to another image: without REF
that is said and is no error. --force applies it nevertheless. A running machine that
has lost all its boot entries gets new ones by --force, too.

Signatures are checked by containers-policy.json(5): that of this machine, or FILE of
--policy, which then also counts for runs without it. How the image was checked is said
here and by status: "signed", "not required (policy.json)", or "none (no policy)" where
every image is accepted. An image that is older than the deployed one, or not sealed
after a sealed one, is warned of. For runs without REF, update.toml may refuse them.

REF names its registry: os:stable is docker.io/library/os:stable if that is meant.

A rollback that waits for the reboot is left alone by apply without REF as long as there
is no other image than the one that runs; a newer one takes over in its place. Where REF
is the image that runs, apply REF takes the rollback back, or drops a staged update.

Deployments that are not needed any more are removed, as prune does, and named.

The last word on standard output is the deployment id.`

type applyFlags struct {
	plan, reboot, quiet, asJSON, force bool
	etcConflicts                       string
	reuse                              []string
	verity                             update.Verity
	source                             sourceFlags
}

func (s *session) applyCommand() *cobra.Command {
	var f applyFlags
	cmd := &cobra.Command{
		Use:   "apply [REF]",
		Short: "Fetch and verify an image, and make it boot next",
		Long:  aboutApply,
		Example: `  sysupdate-image apply
  sysupdate-image apply registry.example.org/os:stable
  sysupdate-image apply --plan
  sysupdate-image apply --etc-conflicts=new
  sysupdate-image --sysroot /mnt apply oci:./os:stable`,
		Args: needArgs(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 && args[0] == "" {
				return usageError{errors.New("apply: REF is empty; leave it out to apply what this machine follows")}
			}
			return s.apply(cmd, first(args), f)
		},
	}
	cmd.Flags().BoolVar(&f.plan, "plan", false, "say what would be fetched, and change nothing")
	cmd.Flags().BoolVar(&f.reboot, "reboot", false, "reboot into the new system at once")
	cmd.Flags().BoolVarP(&f.quiet, "quiet", "q", false, "say nothing but the result")
	cmd.Flags().BoolVar(&f.asJSON, "json", false, "print the result, with the time each step took, as JSON")
	addEtcConflicts(cmd, &f.etcConflicts)
	cmd.Flags().BoolVar(&f.force, "force", false, "apply the image even if its deployment has failed to boot here, or all boot entries are lost")
	addReuseFlag(cmd, &f.reuse)
	addVerityFlag(cmd, &f.verity)
	f.source.add(cmd)
	return cmd
}

func (s *session) apply(cmd *cobra.Command, ref string, f applyFlags) error {
	ctx := cmd.Context()
	if f.reboot && f.plan {
		return usageError{fmt.Errorf("apply: --plan changes nothing that --reboot could boot")}
	}
	if f.reboot && s.sysroot != "" {
		return usageError{fmt.Errorf("apply: --reboot is for the running machine, --sysroot for another")}
	}
	if f.plan && len(f.reuse) > 0 {
		return usageError{fmt.Errorf("apply: --plan says what is not in this machine's repository, and does not look into others (--reuse)")}
	}
	policy, err := parseEtcConflicts(cmd.Name(), f.etcConflicts)
	if err != nil {
		return err
	}
	options := update.Options{Reference: ref, Force: f.force, Source: f.source.options(), Reuse: f.reuse, Verity: f.verity, EtcConflicts: policy}
	report := s.Reporter(f.quiet)
	if f.plan {
		return s.plan(ctx, options, report, f.asJSON)
	}
	m, err := s.open()
	if err != nil {
		return err
	}
	defer m.Close()
	result, err := m.Apply(ctx, options, report)
	if failed := (*update.FailedHereError)(nil); errors.As(err, &failed) {
		return fmt.Errorf("%w; 'apply --force %s' tries again", err, ref)
	}
	if err != nil {
		return err
	}
	if err := s.printResult(result, f.asJSON, f.quiet); err != nil || !f.reboot || !result.Outcome.Boots() {
		return err
	}
	return update.Reboot(ctx)
}

// plan says what apply would fetch.
func (s *session) plan(ctx context.Context, o update.Options, r update.Reporter, asJSON bool) error {
	m, err := update.OpenToPlan(s.sysroot, s.Warn)
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

// addEtcConflicts adds the flag that says what to do with conflicts of /etc.
func addEtcConflicts(cmd *cobra.Command, value *string) {
	cmd.Flags().StringVar(value, "etc-conflicts", "",
		"where /etc has a conflict, fail (the default), keep what is local, or take the new: a `POLICY`")
	must(cmd.RegisterFlagCompletionFunc("etc-conflicts", cobra.FixedCompletions(
		[]string{string(deployment.ConflictsFail), string(deployment.ConflictsKeep), string(deployment.ConflictsNew)}, cobra.ShellCompDirectiveNoFileComp)))
}

func parseEtcConflicts(command, value string) (deployment.ConflictPolicy, error) {
	policy, err := deployment.ParseConflictPolicy(value)
	if err != nil {
		return "", usageError{fmt.Errorf("%s: --etc-conflicts: %w", command, err)}
	}
	return policy, nil
}
