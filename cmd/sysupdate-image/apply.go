package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/printable"
	"github.com/sysupdate-image/sysupdate-image/internal/image/oci"
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
	report := newReporter(s.err, f.quiet)
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
	m, err := update.OpenToPlan(s.sysroot, s.warn)
	if err != nil {
		return err
	}
	defer m.Close()
	plan, err := m.Plan(ctx, o, r)
	if err != nil {
		return err
	}
	return s.printPlan(plan, o.EtcConflicts, asJSON)
}

// printResult ends with the deployment id, for scripts.
func (s *session) printResult(r update.Result, asJSON, quiet bool) error {
	if asJSON {
		return s.printJSON(r)
	}
	s.printSignature(r.Signature, quiet)
	for _, id := range r.Removed {
		if !quiet {
			fmt.Fprintf(s.err, "Removed deployment %s\n", id.Short())
		}
	}
	system := r.Name
	if r.Version != "" {
		system += " (" + r.Version + ")"
	}
	s.printDropped(r)
	switch r.Outcome {
	case update.RollbackQueued:
		fmt.Fprintf(s.out, "Nothing to do: %s is what runs; a rollback to deployment %s is queued, deployment %s\n", system, r.QueuedRollback.Short(), r.ID)
	case update.PassedOver:
		fmt.Fprintf(s.out, "Nothing to do: %s; waiting for another one, 'apply --force' tries it again, deployment %s\n", printable.Text(r.Why), r.ID)
	case update.AlreadyBooted:
		format := "Nothing to do: %s is what runs, deployment %s\n"
		if r.DroppedStaged != "" || r.DroppedRollback != "" {
			format = "%s is what runs, and boots next, deployment %s\n"
		}
		fmt.Fprintf(s.out, format, system, r.ID)
	case update.AlreadyNext:
		fmt.Fprintf(s.out, "Nothing to do: %s boots next, deployment %s\n", system, r.ID)
	case update.Staged:
		for _, c := range r.EtcConflicts {
			s.warn("at the next reboot, " + c.String())
		}
		instead := ""
		if r.QueuedRollback != "" {
			instead = " instead of the rollback to deployment " + r.QueuedRollback.Short()
		}
		fmt.Fprintf(s.out, "Staged %s: it takes over at the next reboot%s, deployment %s\n", system, instead, r.ID)
	case update.Published:
		fmt.Fprintf(s.out, "Deployed %s: it boots next, deployment %s\n", system, r.ID)
	}
	return nil
}

// printSignature says how the image was checked. That nothing checks images is a warning.
func (s *session) printSignature(verdict string, quiet bool) {
	switch {
	case verdict == oci.NoSignaturePolicy:
		s.warn("signature: " + verdict + "; any image is accepted, see containers-policy.json(5)")
	case verdict != "" && !quiet:
		fmt.Fprintf(s.err, "The image's signature: %s\n", printable.Text(verdict))
	}
}

// printDropped says what was to boot next until the image that runs was applied.
func (s *session) printDropped(r update.Result) {
	if r.DroppedStaged != "" {
		fmt.Fprintf(s.out, "Dropped the staged update, deployment %s\n", r.DroppedStaged.Short())
	}
	if r.DroppedRollback != "" {
		fmt.Fprintf(s.out, "Took back the rollback to deployment %s\n", r.DroppedRollback.Short())
	}
}

// printPlan says last what apply would come to under a policy.
func (s *session) printPlan(p update.Plan, policy deployment.ConflictPolicy, asJSON bool) error {
	if asJSON {
		return s.printJSON(p)
	}
	s.printSignature(p.Signature, false)
	if p.QueuedRollback != "" {
		fmt.Fprintf(s.out, "Nothing to do: %s is what runs; a rollback to deployment %s is queued (%s)\n", p.Reference, p.QueuedRollback.Short(), p.ManifestDigest)
		return nil
	}
	if p.UpToDate {
		fmt.Fprintf(s.out, "Nothing to do: %s is deployed already (%s)\n", p.Reference, p.ManifestDigest)
		return nil
	}
	if p.PassedOver != "" {
		fmt.Fprintf(s.out, "Nothing to do: %s; 'apply --force' tries it again (%s)\n", printable.Text(p.PassedOver), p.ManifestDigest)
		return nil
	}
	fmt.Fprintf(s.out, "%s\n  manifest  %s\n", p.Reference, p.ManifestDigest)
	for _, l := range p.Layers {
		what := "fetch"
		if l.Present {
			what = "have "
		}
		fmt.Fprintf(s.out, "  %s     %s  %10s\n", what, l.Digest, size(l.Size))
	}
	for _, c := range p.EtcConflicts {
		fmt.Fprintf(s.out, "  conflict  %s\n", c)
	}
	if !p.EtcChecked {
		fmt.Fprintln(s.out, "Whether local changes to /etc fit is known once all layers are here.")
	}
	fmt.Fprintf(s.out, "Would fetch %s, %s. Nothing was changed.\n", count(p.FetchLayers(), "layer"), size(p.FetchBytes()))
	switch n := len(p.EtcConflicts); {
	case n == 0:
	case policy == deployment.ConflictsKeep:
		fmt.Fprintf(s.out, "Where there is a conflict, what is local would stay (%s).\n", count(n, "conflict"))
	case policy == deployment.ConflictsNew:
		fmt.Fprintf(s.out, "Where there is a conflict, what the image has would come (%s).\n", count(n, "conflict"))
	default:
		fmt.Fprintf(s.out, "Apply would then stage nothing, as /etc has %s: see --etc-conflicts.\n", count(n, "conflict"))
	}
	return nil
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

// printJSON prints v for programs, and for people: <, > and & as they are, and with
// escapes for what a terminal would not show.
func (s *session) printJSON(v any) error {
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return err
	}
	_, err := s.out.Write(printable.JSON(text.Bytes()))
	return err
}
