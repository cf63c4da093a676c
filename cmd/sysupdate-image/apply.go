package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/update"
)

const aboutApply = `Fetch an image, verify it, and make it the next system to boot.

REF is registry/name:tag, or a transport of containers-transports(5): docker://, oci:,
oci-archive:, docker-archive: or dir:. Name the registry: os:stable alone is refused,
docker.io/library/os:stable is not. From then on the machine follows REF, and apply
without REF fetches its newest image.

The running system does not change. The new one takes effect at the next reboot, with
this machine's changes to /etc, and with /var as it is. If apply fails or is interrupted,
even by a power failure, the next boot is unchanged, and another apply resumes: layers
that are complete are not fetched again.

An image with a unified kernel image in /boot/EFI/Linux is sealed. It is refused unless
it has the digest that its kernel command line names.

The new system requires fs-verity for every file if the current one does, unless
--allow-missing-verity is given (composefs=? on the kernel command line). To require it
from now on, use --allow-missing-verity=false.

A conflict in /etc is a local change that excludes the image's version: a local file
where the image has a directory, a local directory where it has a file, or local files in
a directory that it no longer has. By default apply then stages nothing.
--etc-conflicts=keep keeps the local version, --etc-conflicts=new takes the image's; the
other version is moved to /etc/.conflicts. All other local changes are kept, file by file.

An image that has failed to boot here is skipped, so that a timer does not boot it again
and again. Without REF this is not an error: apply waits for another image. --force
retries it. --force also restores the boot entries of a running machine that lost them.

Signatures are checked as containers-policy.json(5) says: by the machine's policy, or by
FILE of --policy, which also applies to later runs without it. apply and status show the
result: "signed", "not required (policy.json)", or "none (no policy)" if every image is
accepted. apply warns of an image that is older than the deployed one, or not sealed
although the deployed one is. update.toml can make runs without REF refuse such images.

On a running machine, apply without REF keeps a queued rollback unless the reference has a newer image, which
then replaces it. apply REF cancels a queued rollback, and drops a staged update, if REF
is the running image.

--soft-reboot=MODE restarts only user space, in the new system, if the kernel, the initramfs,
the kernel arguments (except composefs=) and the SELinux policy stay the same. With --reboot
this happens at once; otherwise systemctl soft-reboot does it, and any reboot boots the new
system as usual. If a soft reboot is not possible, apply says why: auto then leaves it to a
reboot, required stages nothing.

--kexec reboots at once, but has the running kernel start the new one with the arguments of
its boot entry, without the firmware and the boot loader. If the running kernel refuses, for
example because it is locked down and does not trust the new one's signature, apply says so
and stages nothing. The new system stays on trial until the boot loader has booted it once;
if it fails before, the machine reboots through the firmware.

update.toml can make --reboot use one of the two ways, where it is possible.

--plan shows the current and the new version, what would be fetched and written, how much
room that needs, and which deployments would be removed. If all layers are here already,
it also shows which packages (dpkg, pacman, rpm), files in /etc and kernel arguments change,
whether the kernel does, conflicts in /etc, and whether a soft reboot is enough; otherwise
these are unknown, except packages, if the registry has an SBOM (SPDX or CycloneDX) for the image. Bytes to fetch and to write are exact, apart from records, boot entries,
and what is copied of /etc and /var; the room is an upper bound. With --json, the output is
as /usr/share/sysupdate-image/schema/plan.schema.json describes.

--check only checks for an update. The exit code is 10 if there is one, and 0 if there is
none. An image that update.toml or the signature policy refuses is an error, as for apply.

--download-only stages the image, but locked: it is complete on disk, and no reboot boots it.
--from-downloaded unlocks what is staged, so that the next reboot boots it, and looks for no
newer image. apply without either of them unlocks what is staged if it is the newest image.

Progress is shown on standard error: on a terminal as a bar with bytes, rate and time left,
elsewhere and with TERM=dumb in plain lines. In a unit with NotifyAccess=main, systemctl status
shows it. Ctrl-C stops within a second and says which layers are kept.

Deployments that are no longer needed are removed, as by prune, and reported.

The last word on standard output is the deployment id, of which a terminal shows the beginning.`

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
		Long:  aboutApply,
		Example: `  sysupdate-image apply
  sysupdate-image apply registry.example.org/os:stable
  sysupdate-image apply --check
  sysupdate-image apply --plan
  sysupdate-image apply --etc-conflicts=new
  sysupdate-image --sysroot /mnt apply oci:./os:stable`,
		Args: needArgs(cobra.MaximumNArgs(1)),
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
