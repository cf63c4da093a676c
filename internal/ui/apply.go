package ui

import (
	"fmt"
	"slices"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bootentry"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/printable"
	"github.com/sysupdate-image/sysupdate-image/internal/image/oci"
	"github.com/sysupdate-image/sysupdate-image/internal/update"
)

// PrintResult prints what apply did. The last word is the deployment id, for scripts.
func (s *Screen) PrintResult(r update.Result, quiet bool) error {
	s.printSignature(r.Signature, quiet)
	for _, id := range r.Removed {
		if !quiet {
			fmt.Fprintf(s.Err, "Removed deployment %s\n", id.Short())
		}
	}
	title := bootentry.Title(r.Name, r.Version)
	s.printDropped(r)
	s.printImpossible(r.SoftReboot, r.Kexec)
	switch r.Outcome {
	case update.RollbackQueued:
		fmt.Fprintf(s.Out, "Nothing to do: already running %s; a rollback to deployment %s is queued, deployment %s\n",
			title, r.QueuedRollback.Short(), r.ID)
	case update.Skipped:
		fmt.Fprintf(s.Out, "Nothing to do: %s; waiting for another image, or retry with 'apply --force', deployment %s\n",
			printable.Text(r.Why), r.ID)
	case update.AlreadyBooted:
		format := "Nothing to do: already running %s, deployment %s\n"
		if r.DroppedStaged != "" || r.DroppedRollback != "" {
			format = "%s is running and boots next, deployment %s\n"
		}
		fmt.Fprintf(s.Out, format, title, r.ID)
	case update.AlreadyNext:
		if r.Locked || r.Unlocked {
			s.printLock(r, title)
			break
		}
		fmt.Fprintf(s.Out, "Nothing to do: %s already boots next%s, deployment %s\n", title, alsoSoftReboot(r.SoftReboot), r.ID)
	case update.Staged:
		for _, c := range r.EtcConflicts {
			s.Warn("at the next reboot, " + c.String())
		}
		instead := ""
		if r.QueuedRollback != "" {
			instead = " instead of the rollback to deployment " + r.QueuedRollback.Short()
		}
		if r.Locked {
			s.printLock(r, title)
			break
		}
		fmt.Fprintf(s.Out, "Staged %s: takes effect at the next reboot%s%s, deployment %s\n", title, orSoftReboot(r.SoftReboot), instead, r.ID)
	case update.Published:
		fmt.Fprintf(s.Out, "Deployed %s: boots next, deployment %s\n", title, r.ID)
	}
	return nil
}

// printLock prints that what is staged is locked, or no longer.
func (s *Screen) printLock(r update.Result, title string) {
	if r.Locked {
		fmt.Fprintf(s.Out, "Staged %s, locked: no reboot boots it until 'apply --from-downloaded', deployment %s\n", title, r.ID)
		return
	}
	fmt.Fprintf(s.Out, "Unlocked %s: takes effect at the next reboot%s, deployment %s\n", title, orSoftReboot(r.SoftReboot), r.ID)
}

// printImpossible prints why the image cannot be booted in a way that was wished for.
func (s *Screen) printImpossible(soft, kexec *update.Possibility) {
	for _, way := range []struct {
		name string
		*update.Possibility
	}{{"soft reboot", soft}, {"kexec", kexec}} {
		if way.Possibility != nil && !way.Possible {
			fmt.Fprintf(s.Err, "No %s: %s\n", way.name, printable.Text(way.Why))
		}
	}
}

// alsoSoftReboot is orSoftReboot after "boots next".
func alsoSoftReboot(r *update.Possibility) string {
	if r != nil && r.Possible {
		return ", also by a soft reboot"
	}
	return ""
}

// orSoftReboot says that a soft reboot is as good as a reboot, where it is.
func orSoftReboot(r *update.Possibility) string {
	if r != nil && r.Possible {
		return " or soft reboot"
	}
	return ""
}

// printSignature prints how the image was checked. That images are not checked is a
// warning.
func (s *Screen) printSignature(verdict string, quiet bool) {
	switch {
	case verdict == oci.NoSignaturePolicy:
		s.Warn("signature: " + verdict + "; every image is accepted, see containers-policy.json(5)")
	case verdict != "" && !quiet:
		fmt.Fprintf(s.Err, "Signature: %s\n", printable.Text(verdict))
	}
}

// printDropped prints what no longer boots next since the running image was applied.
func (s *Screen) printDropped(r update.Result) {
	if r.DroppedStaged != "" {
		fmt.Fprintf(s.Out, "Dropped the staged update, deployment %s\n", r.DroppedStaged.Short())
	}
	if r.DroppedRollback != "" {
		fmt.Fprintf(s.Out, "Cancelled the queued rollback to deployment %s\n", r.DroppedRollback.Short())
	}
}

// PrintUpdate prints whether there is an update.
func (s *Screen) PrintUpdate(u update.Update, quiet bool) error {
	s.printSignature(u.Signature, quiet)
	what := bootentry.Title(u.Reference, u.Version)
	if u.Available {
		_, err := fmt.Fprintf(s.Out, "Update available: %s (%s)\n%s to fetch, %s\n",
			what, u.ManifestDigest, Count(u.FetchLayers, "layer"), Size(u.FetchBytes))
		return err
	}
	_, err := fmt.Fprintf(s.Out, "No update: %s (%s): %s\n", what, u.ManifestDigest, whyNoUpdate(u))
	return err
}

// whyNoUpdate says why there is nothing to apply.
func whyNoUpdate(u update.Update) string {
	switch u.Outcome {
	case update.AlreadyBooted:
		return "it is running"
	case update.RollbackQueued:
		return "it is running, and a rollback to deployment " + u.QueuedRollback.Short() + " is queued"
	case update.Skipped:
		return printable.Text(u.Why)
	}
	return "it boots next"
}

// PrintPlan prints what apply would do under a policy for conflicts in /etc.
func (s *Screen) PrintPlan(p update.Plan, policy deployment.ConflictPolicy) error {
	s.printSignature(p.Signature, false)
	if slices.Contains(p.Steps, update.StepRestrict) {
		fmt.Fprintln(s.Out, "Would keep other users out of the repository: its mode would become 0700.")
	}
	switch {
	case p.UpToDate() && p.Outcome == update.RollbackQueued:
		fmt.Fprintf(s.Out, "Nothing to do: already running %s; a rollback to deployment %s is queued (%s)\n",
			p.Reference, p.QueuedRollback.Short(), p.ManifestDigest)
		return nil
	case p.UpToDate():
		s.printImpossible(p.SoftReboot, p.Kexec)
		fmt.Fprintf(s.Out, "Nothing to do: %s is already deployed (%s)\n", p.Reference, p.ManifestDigest)
		return nil
	case p.Outcome == update.Skipped:
		fmt.Fprintf(s.Out, "Nothing to do: %s; waiting for another image, or retry with 'apply --force' (%s)\n",
			printable.Text(p.Why), p.ManifestDigest)
		return nil
	}
	fmt.Fprintf(s.Out, "%s\n  manifest  %s\n", p.Reference, p.ManifestDigest)
	for _, l := range p.Layers {
		what := "fetch"
		if l.Present {
			what = "have "
		}
		fmt.Fprintf(s.Out, "  %s     %s  %10s\n", what, l.Digest, Size(l.Size))
	}
	for _, c := range p.EtcConflicts {
		fmt.Fprintf(s.Out, "  conflict  %s\n", c)
	}
	s.printPlanned(p)
	s.printImpossible(p.SoftReboot, p.Kexec)
	if !p.EtcChecked {
		fmt.Fprintln(s.Out, "Conflicts in /etc can only be checked after all layers are downloaded.")
	}
	s.printConflicts(len(p.EtcConflicts), policy)
	_, err := fmt.Fprintf(s.Out,
		"Would fetch %s, %s. Nothing was changed.\n", Count(p.FetchLayers(), "layer"), Size(p.FetchBytes()))
	return err
}

// printConflicts prints what apply would do about n conflicts in /etc.
func (s *Screen) printConflicts(n int, policy deployment.ConflictPolicy) {
	would := "apply would stage nothing; see --etc-conflicts."
	switch policy {
	case deployment.ConflictsKeep:
		would = "the local versions would be kept."
	case deployment.ConflictsNew:
		would = "the image's versions would be used."
	}
	if n > 0 {
		fmt.Fprintf(s.Out, "%s in /etc: %s\n", Count(n, "conflict"), would)
	}
}

// printPlanned prints what would become of the image once it is fetched.
func (s *Screen) printPlanned(p update.Plan) {
	for _, step := range p.Steps {
		switch step {
		case update.StepBuild:
			fmt.Fprintln(s.Out, "  build     the composefs image")
		case update.StepUnstage:
			fmt.Fprintln(s.Out, "  drop      the staged update")
		case update.StepStage:
			instead := ""
			if p.QueuedRollback != "" {
				instead = ", instead of the rollback to deployment " + p.QueuedRollback.Short()
			}
			fmt.Fprintf(s.Out, "  stage     takes effect at the next reboot%s%s\n", orSoftReboot(p.SoftReboot), instead)
		case update.StepPublish:
			fmt.Fprintln(s.Out, "  publish   boots next")
		case update.StepRestore:
			fmt.Fprintln(s.Out, "  restore   kernel and boot entry of the running deployment, which are gone: it boots next")
		case update.StepRollback:
			fmt.Fprintf(s.Out,
				"  cancel    the rollback to deployment %s: the running one boots next\n", p.DroppedRollback.Short())
		case update.StepPrune:
			for _, id := range p.Remove {
				fmt.Fprintf(s.Out, "  remove    deployment %s\n", id.Short())
			}
		}
	}
}
