package ui

import (
	"github.com/sysupdate-image/sysupdate-image/internal/format/bootentry"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/printable"
	"github.com/sysupdate-image/sysupdate-image/internal/image/oci"
	"github.com/sysupdate-image/sysupdate-image/internal/update"
)

// id returns a deployment id for the end of a result: for scripts all of it, on a terminal as
// much as tells it from others.
func (s *Screen) id(id deployment.ID) string {
	if s.OnTerminal() {
		return id.Short()
	}
	return string(id)
}

// PrintResult prints what apply did. The last word is the deployment id, for scripts.
func (s *Screen) PrintResult(r update.Result, quiet bool) error {
	s.printSignature(r.Signature, quiet)
	for _, id := range r.Removed {
		if !quiet {
			s.sayf("Removed deployment %s", id.Short())
		}
	}
	title := bootentry.Title(r.Name, r.Version)
	s.printDropped(r)
	s.printImpossible(r.SoftReboot, r.Kexec)
	switch r.Outcome {
	case update.RollbackQueued:
		s.printf("Nothing to do: already running %s; a rollback to deployment %s is queued, deployment %s\n",
			title, r.QueuedRollback.Short(), s.id(r.ID))
	case update.Skipped:
		s.printf("Nothing to do: %s; waiting for another image, or retry with 'apply --force', deployment %s\n",
			printable.Text(r.Why), s.id(r.ID))
	case update.AlreadyBooted:
		format := "Nothing to do: already running %s, deployment %s\n"
		if r.DroppedStaged != "" || r.DroppedRollback != "" {
			format = "%s is running and boots next, deployment %s\n"
		}
		s.printf(format, title, s.id(r.ID))
	case update.AlreadyNext:
		if r.Locked || r.Unlocked {
			s.printLock(r, title)
			break
		}
		s.printf("Nothing to do: %s already boots next%s, deployment %s\n", title, alsoSoftReboot(r.SoftReboot), s.id(r.ID))
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
		s.printf("Staged %s: takes effect at the next reboot%s%s, deployment %s\n", title, orSoftReboot(r.SoftReboot), instead, s.id(r.ID))
	case update.Published:
		s.printf("Deployed %s: boots next, deployment %s\n", title, s.id(r.ID))
	}
	return nil
}

// printLock prints that what is staged is locked, or no longer.
func (s *Screen) printLock(r update.Result, title string) {
	if r.Locked {
		s.printf("Staged %s, locked: no reboot boots it until 'apply --from-downloaded', deployment %s\n", title, s.id(r.ID))
		return
	}
	s.printf("Unlocked %s: takes effect at the next reboot%s, deployment %s\n", title, orSoftReboot(r.SoftReboot), s.id(r.ID))
}

// printImpossible prints why the image cannot be booted in a way that was wished for.
func (s *Screen) printImpossible(soft, kexec *update.Possibility) {
	for _, way := range []struct {
		name string
		*update.Possibility
	}{{"soft reboot", soft}, {"kexec", kexec}} {
		if way.Possibility != nil && !way.Possible {
			s.sayf("No %s: %s", way.name, printable.Text(way.Why))
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
		s.sayf("Signature: %s", printable.Text(verdict))
	}
}

// printDropped prints what no longer boots next since the running image was applied.
func (s *Screen) printDropped(r update.Result) {
	if r.DroppedStaged != "" {
		s.printf("Dropped the staged update, deployment %s\n", r.DroppedStaged.Short())
	}
	if r.DroppedRollback != "" {
		s.printf("Cancelled the queued rollback to deployment %s\n", r.DroppedRollback.Short())
	}
}

// PrintUpdate prints whether there is an update.
func (s *Screen) PrintUpdate(u update.Update, quiet bool) error {
	s.printSignature(u.Signature, quiet)
	what := bootentry.Title(u.Reference, u.Version)
	if u.Available {
		err := s.printf("Update available: %s (%s)\n%s to fetch, %s\n",
			what, u.ManifestDigest, Count(u.FetchLayers, "layer"), Size(u.FetchBytes))
		return err
	}
	err := s.printf("No update: %s (%s): %s\n", what, u.ManifestDigest, whyNoUpdate(u))
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
	if u.Locked {
		return "it is staged, but locked; 'apply' unlocks it"
	}
	return "it boots next"
}
