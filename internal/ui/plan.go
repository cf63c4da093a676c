package ui

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/printable"
	"github.com/sysupdate-image/sysupdate-image/internal/image/packages"
	"github.com/sysupdate-image/sysupdate-image/internal/update"
)

// PrintPlan prints what apply would do under a policy for conflicts in /etc.
func (s *Screen) PrintPlan(p update.Plan, policy deployment.ConflictPolicy) error {
	s.printSignature(p.Signature, false)
	if slices.Contains(p.Steps, update.StepRestrict) {
		fmt.Fprintln(s.Out, "Would keep other users out of the repository: its mode would become 0700.")
	}
	if p.UpToDate() || p.Outcome == update.Skipped {
		for _, d := range p.Remove {
			fmt.Fprintf(s.Out, "Would remove deployment %s%s\n", d.ID.Short(), inBrackets(Name(d.Title())))
		}
	}
	switch {
	case p.UpToDate() && p.Outcome == update.RollbackQueued:
		return s.printf("Nothing to do: already running %s; a rollback to deployment %s is queued (%s)\n",
			p.Reference, p.QueuedRollback.Short(), p.ManifestDigest)
	case slices.Contains(p.Steps, update.StepUnlock):
		s.printImpossible(p.SoftReboot, p.Kexec)
		return s.printf("Would unlock the staged %s: takes effect at the next reboot%s (%s). Nothing was changed.\n",
			p.Reference, orSoftReboot(p.SoftReboot), p.ManifestDigest)
	case p.UpToDate():
		s.printImpossible(p.SoftReboot, p.Kexec)
		return s.printf("Nothing to do: %s is already deployed (%s)\n", p.Reference, p.ManifestDigest)
	case p.Outcome == update.Skipped:
		return s.printf("Nothing to do: %s; waiting for another image, or retry with 'apply --force' (%s)\n",
			printable.Text(p.Why), p.ManifestDigest)
	}
	var planned, summary strings.Builder
	printPlanned(&planned, s.readable(p))
	printSummary(&summary, p, policy)
	if err := s.PrintText(planned.String()); err != nil {
		return err
	}
	s.printImpossible(p.SoftReboot, p.Kexec)
	return s.PrintText(summary.String())
}

// readable returns a plan with digests that leave room for the rest on a terminal.
func (s *Screen) readable(p update.Plan) update.Plan {
	if !s.OnTerminal() {
		return p
	}
	p.ManifestDigest = shortDigest(p.ManifestDigest)
	p.Layers = slices.Clone(p.Layers)
	for i := range p.Layers {
		p.Layers[i].Digest = shortDigest(p.Layers[i].Digest)
	}
	return p
}

// shortDigest returns as much of a digest as status shows.
func shortDigest(digest string) string { return digest[:min(len(digest), len("sha256:")+12)] }

// planRow prints a row of a plan.
func planRow(w io.Writer, name, format string, args ...any) {
	fmt.Fprintf(w, "  %-9s "+format+"\n", append([]any{name}, args...)...)
}

func printPlanned(w io.Writer, p update.Plan) {
	fmt.Fprintln(w, p.Reference)
	printVersions(w, p)
	planRow(w, "manifest", "%s", p.ManifestDigest)
	for _, l := range p.Layers {
		what := "fetch"
		if l.Present {
			what = "have"
		}
		planRow(w, what, "%s  %10s", l.Digest, Size(l.Size))
	}
	if c := p.Changes; c != nil {
		printChanges(w, *c)
	}
	if p.SBOM != nil {
		printPackages(w, p.SBOM.Packages, ", from the SBOM")
	}
	for _, c := range p.EtcConflicts {
		planRow(w, "conflict", "%s", c)
	}
	printSteps(w, p)
}

// printVersions prints which version takes the place of which.
func printVersions(w io.Writer, p update.Plan) {
	from, to := "", p.To.Title()
	if p.From != nil && p.From.ID != p.To.ID {
		from = p.From.Title() + " -> "
	}
	if to == "" {
		to = "unknown until its layers are downloaded"
	}
	planRow(w, "version", "%s", Name(from+to))
}

// printChanges prints what the new system has otherwise.
func printChanges(w io.Writer, c update.Changes) {
	k := c.Kernel
	switch {
	case k.Old != k.New && k.Old != "":
		planRow(w, "kernel", "%s -> %s", Name(k.Old), Name(k.New))
	case k.Old == "":
		planRow(w, "kernel", "%s", Name(k.New))
	case k.KernelChanged && k.InitramfsChanged:
		planRow(w, "kernel", "%s: rebuilt, with another initramfs", Name(k.New))
	case k.KernelChanged:
		planRow(w, "kernel", "%s: rebuilt", Name(k.New))
	case k.InitramfsChanged:
		planRow(w, "kernel", "%s: unchanged, with another initramfs", Name(k.New))
	}
	for _, a := range c.KernelArguments.Removed {
		planRow(w, "argument", "- %s", Name(a))
	}
	for _, a := range c.KernelArguments.Added {
		planRow(w, "argument", "+ %s", Name(a))
	}
	printPackages(w, c.Packages, "")
	for _, change := range c.Etc.Image {
		planRow(w, "etc", "%s", etcChange(change))
	}
	if n := len(c.Etc.Local); n > 0 {
		planRow(w, "keep", "%s in /etc", Count(n, "local change"))
	}
	for _, path := range c.Etc.Shadowed {
		planRow(w, "keep", "%s, which the image changes too", Name(path))
	}
	for _, note := range c.Notes {
		planRow(w, "note", "%s", printable.Text(note))
	}
}

// printPackages prints how packages change, and where that is from.
func printPackages(w io.Writer, diffs []packages.ManagerDiff, from string) {
	for _, m := range diffs {
		text, lines := packageChanges(m)
		planRow(w, "packages", "%s%s", text, from)
		for _, line := range lines {
			planRow(w, "", "%s", line)
		}
	}
}

// packageChanges returns how the packages of one manager differ: a summary, and a line for
// each.
func packageChanges(m packages.ManagerDiff) (summary string, lines []string) {
	added, removed, changed := 0, 0, 0
	for _, p := range m.Changes {
		switch {
		case p.Old == "":
			added++
			lines = append(lines, fmt.Sprintf("+ %s %s", Name(p.Name), Name(p.New)))
		case p.New == "":
			removed++
			lines = append(lines, fmt.Sprintf("- %s %s", Name(p.Name), Name(p.Old)))
		default:
			changed++
			lines = append(lines, fmt.Sprintf("~ %s %s -> %s", Name(p.Name), Name(p.Old), Name(p.New)))
		}
	}
	return fmt.Sprintf("(%s): %d added, %d removed, %d changed", m.Manager, added, removed, changed), lines
}

func etcChange(c deployment.EtcChange) string {
	mark := map[string]string{"added": "+", "removed": "-"}[c.Kind]
	if mark == "" {
		mark = "~"
	}
	text := mark + " " + Name(c.Path)
	if len(c.What) > 0 {
		text += " (" + strings.Join(c.What, ", ") + ")"
	}
	return text
}

// printSteps prints what would become of the image once it is fetched.
func printSteps(w io.Writer, p update.Plan) {
	for _, step := range p.Steps {
		switch step {
		case update.StepBuild:
			planRow(w, "build", "the composefs image")
		case update.StepUnstage:
			planRow(w, "drop", "the staged update")
		case update.StepStage:
			instead := ""
			if p.QueuedRollback != "" {
				instead = ", instead of the rollback to deployment " + p.QueuedRollback.Short()
			}
			planRow(w, "stage", "takes effect at the next reboot%s%s", orSoftReboot(p.SoftReboot), instead)
		case update.StepPublish:
			planRow(w, "publish", "boots next")
		case update.StepRestore:
			planRow(w, "restore", "kernel and boot entry of the running deployment, which are gone: it boots next")
		case update.StepRollback:
			planRow(w, "cancel", "the rollback to deployment %s: the running one boots next", p.DroppedRollback.Short())
		case update.StepPrune:
			for _, d := range p.Remove {
				planRow(w, "remove", "deployment %s%s", d.ID.Short(), inBrackets(Name(d.Title())))
			}
			if p.Frees != nil {
				planRow(w, "free", "%s of the repository", Size(*p.Frees))
			}
		}
	}
}

func inBrackets(text string) string {
	if text == "" {
		return ""
	}
	return " (" + text + ")"
}

// printSummary prints what a plan comes to.
func printSummary(w io.Writer, p update.Plan, policy deployment.ConflictPolicy) {
	if p.Changes == nil && p.Write == nil {
		fmt.Fprintln(w, "The changes and the space needed are unknown until all layers are downloaded.")
	}
	if !p.EtcChecked {
		fmt.Fprintln(w, "Conflicts in /etc can only be checked after all layers are downloaded.")
	}
	printConflicts(w, len(p.EtcConflicts), policy)
	for _, r := range p.Room {
		printRoom(w, r, p.Fetch.Bytes)
	}
	if r := p.Reboot; r != nil {
		switch {
		case r.Needed == update.RebootSoft:
			fmt.Fprintln(w, "A soft reboot is enough for it to take effect.")
		case r.Needed == update.RebootFull && r.Why != "":
			fmt.Fprintf(w, "It takes effect at a reboot; a soft reboot is not enough: %s.\n", printable.Text(r.Why))
		}
	}
	fmt.Fprintf(w, "Would fetch %s, %s", Count(p.Fetch.Layers, "layer"), Size(p.Fetch.Bytes))
	if p.Write != nil {
		fmt.Fprintf(w, ", and write %s to the repository and %s to the boot partition",
			Size(p.Write.Repository), Size(p.Write.Boot))
	}
	fmt.Fprintln(w, ". Nothing was changed.")
}

// printRoom prints what is needed of a file system, or only what is free where that is not
// known: contents take at least about as much as the bytes to fetch.
func printRoom(w io.Writer, r update.Room, fetch int64) {
	if r.Need != nil && *r.Need == 0 {
		return
	}
	name := map[string]string{"root": "the root file system", "boot": "the boot partition", "esp": "the EFI system partition"}[r.FileSystem]
	if r.Where != "" {
		name += " (" + Name(r.Where) + ")"
	}
	if r.Need == nil {
		verdict := ""
		if r.FileSystem == "root" && r.Free < fetch {
			verdict = ", less than would be fetched"
		}
		fmt.Fprintf(w, "Free on %s: %s%s\n", name, Size(r.Free), verdict)
		return
	}
	verdict := ""
	if r.Short() {
		verdict = ": not enough"
		if r.FileSystem == "boot" {
			verdict = ": not enough unless kernels of superseded deployments can be removed"
		}
	}
	fmt.Fprintf(w, "Needs at most %s of %s, %s free%s\n", Size(*r.Need), name, Size(r.Free), verdict)
}

// printConflicts prints what apply would do about n conflicts in /etc.
func printConflicts(w io.Writer, n int, policy deployment.ConflictPolicy) {
	would := "apply would stage nothing; see --etc-conflicts."
	switch policy {
	case deployment.ConflictsKeep:
		would = "the local versions would be kept."
	case deployment.ConflictsNew:
		would = "the image's versions would be used."
	}
	if n > 0 {
		fmt.Fprintf(w, "%s in /etc: %s\n", Count(n, "conflict"), would)
	}
}
