package update

import (
	"slices"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bootentry"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/machine"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
)

// The outcome of applying an image is decided here, from the state of the machine alone.
// Plan prints the decision, and Apply carries it out.

// Outcome is what apply comes to.
type Outcome string

// The outcomes.
const (
	AlreadyBooted  Outcome = "already-booted"  // it is running, and boots next
	AlreadyNext    Outcome = "already-next"    // it boots next, or is staged to
	Staged         Outcome = "staged"          // finalize makes it the next at shutdown
	Published      Outcome = "published"       // it is the next: the machine is not running, or runs it and has lost its kernel or boot entry
	Skipped        Outcome = "skipped"         // its deployment has failed to boot here, and nobody insisted
	RollbackQueued Outcome = "rollback-queued" // it is running, and a queued rollback stays: nobody named the image
)

// Boots reports whether a reboot would boot the image, which is not running yet.
func (o Outcome) Boots() bool { return o == AlreadyNext || o == Staged }

// A Decision is what applying an image comes to.
type Decision struct {
	Outcome Outcome       `json:"outcome"`
	ID      deployment.ID `json:"deployment,omitempty"` // "" if only building the image can tell
	Why     string        `json:"why,omitempty"`        // it is skipped
	// QueuedRollback is what a rollback has made the next to boot, which it is unless
	// the staged deployment takes over.
	QueuedRollback deployment.ID `json:"queuedRollback,omitempty"`
	// Deployments that were to boot next, and no longer are because the image is running.
	DroppedStaged   deployment.ID `json:"droppedStaged,omitempty"`
	DroppedRollback deployment.ID `json:"droppedRollback,omitempty"`

	settled bool             // nothing has to be fetched or built for it
	failed  *FailedHereError // why it is skipped
}

// A subject is an image to decide about.
type subject struct {
	manifest string        // its digest
	id       deployment.ID // the deployment that it makes, "" before it is built
	named    bool          // somebody asked for it, and not a timer for what the machine follows
	forced   bool          // even if it has failed here
}

// decide returns what applying an image to a machine in that state comes to.
func decide(s machine.State, img subject) Decision {
	leaves := leaving(s)
	if img.id == "" {
		if d, ok := settle(s, img, leaves); ok {
			return d
		}
	}
	if s.BootedOnLastTry() && !img.forced && (img.id == s.Booted || madeBy(s, s.Booted, img.manifest)) {
		// More tries, from a timer at each boot, would keep a bad image forever.
		return Decision{Outcome: AlreadyBooted, ID: s.Booted, settled: true}
	}
	if failed := checkFailed(failures(s), img.manifest, img.id); failed != nil && !img.forced {
		return Decision{Outcome: Skipped, ID: failed.ID, Why: failed.Error(), failed: failed}
	}
	id := img.id
	if id == "" && madeBy(s, s.Booted, img.manifest) {
		id = s.Booted
	}
	switch {
	case s.Booted == "":
		return Decision{Outcome: Published, ID: id}
	case id == s.Booted:
		return stay(s, img, leaves)
	}
	d := Decision{Outcome: Staged, ID: id}
	if id != leaves.rollback {
		d.QueuedRollback = leaves.rollback
	}
	return d
}

// settle decides about an image for which nothing has to be built: it boots next
// already, or is running and left to a queued rollback.
func settle(s machine.State, img subject, leaves pending) (Decision, bool) {
	next := nextServed(s)
	switch {
	case madeBy(s, next, img.manifest) && next == s.Booted:
		return Decision{Outcome: AlreadyBooted, ID: next, settled: true}, true
	case madeBy(s, next, img.manifest):
		return Decision{Outcome: AlreadyNext, ID: next, settled: true}, true
	case !img.named && leaves.rollback != "" && leaves.staged == "" && madeBy(s, s.Booted, img.manifest):
		return Decision{Outcome: RollbackQueued, ID: s.Booted, QueuedRollback: leaves.rollback, settled: true}, true
	}
	return Decision{}, false
}

// stay decides about an image that makes the booted deployment: another manifest of the
// same content, what is staged or queued would leave, or it could not boot again.
func stay(s machine.State, img subject, leaves pending) Decision {
	d := Decision{Outcome: AlreadyBooted, ID: s.Booted, DroppedStaged: leaves.staged}
	if s.CannotReturn() {
		d.Outcome = Published
		return d
	}
	if leaves.rollback != "" && !img.named {
		d.Outcome, d.QueuedRollback = RollbackQueued, leaves.rollback
		return d
	}
	d.DroppedRollback = leaves.rollback
	return d
}

// A pending is what a reboot of the running machine would leave the booted deployment
// for.
type pending struct {
	staged   deployment.ID // "" if nothing is staged
	rollback deployment.ID // what a rollback has made the next, "" if none has
}

// leaving returns nothing for a machine that is not running. That the loader prefers
// another one to a booted deployment that has used up its boots is no rollback.
func leaving(s machine.State) (p pending) {
	if s.Booted == "" {
		return p
	}
	if s.Staged != nil && s.Staged.ID != s.Booted {
		p.staged = s.Staged.ID
	}
	first, _ := s.First()
	preferable := func(f boot.EntryFile) bool { return f.Target.ID == s.Booted && f.Bootable() && !f.Name.Exhausted() }
	if id := first.Target.ID; id != s.Booted && id != p.staged && slices.ContainsFunc(s.Files, preferable) {
		p.rollback = id
	}
	return p
}

// nextServed returns the deployment that boots next: the staged one, or the loader's
// first. It is "" if one is staged that no shutdown could make the next, since its entry
// is lost: it has to be staged anew.
func nextServed(s machine.State) deployment.ID {
	if s.Staged == nil {
		first, _ := s.First()
		return first.Target.ID
	}
	if !slices.ContainsFunc(s.Files, func(f boot.EntryFile) bool { return serves(f, *s.Staged) }) {
		return ""
	}
	return s.Staged.ID
}

// serves reports whether an entry is the one that a staged record is about: the staged
// one, or the published one where that was done before, as long as the loader tries it.
func serves(f boot.EntryFile, record deployment.Staged) bool {
	if f.Err != nil || f.Target.ID != record.ID {
		return false
	}
	if f.Staged {
		return f.Name.String() == record.Entry
	}
	// Another entry of the deployment may be left of an earlier time.
	published, err := bootentry.ParseName(record.Entry)
	return err == nil && record.Published && f.Name.Base == published.Base && !f.Name.Exhausted()
}

// madeBy reports whether the image with a manifest made the deployment, which is whole.
func madeBy(s machine.State, id deployment.ID, manifest string) bool {
	return id != "" && manifest != "" && s.Origins[id].ManifestDigest == manifest && !s.Broken[id]
}

// failures returns what is known of failed boots, by deployment: the records, and what
// entries tell that have used up their boots.
func failures(s machine.State) map[deployment.ID]deployment.BootFailure {
	all := make(map[deployment.ID]deployment.BootFailure)
	for id, f := range s.Failures {
		all[id] = f
	}
	proven := s.Proven()
	for _, f := range s.Files {
		id := f.Target.ID
		if !f.IsDeployment() || !f.Name.Exhausted() || s.Broken[id] || slices.Contains(proven, id) || s.OnLastTry(f) {
			continue
		}
		failure, known := all[id]
		if !known {
			failure = deployment.BootFailure{ID: id, Time: time.Now().UTC().Format(time.RFC3339), Reason: s.WhySilent(id)}
		}
		failure.Entry = f.Name.String()
		// Without the origin the failure is known by the deployment's id alone.
		if manifest := s.Origins[id].ManifestDigest; manifest != "" {
			failure.Image = manifest
		}
		all[id] = failure
	}
	for _, id := range proven {
		delete(all, id)
	}
	return all
}

// nameOf returns the name and the version by which a person knows a deployment.
func nameOf(s machine.State, id deployment.ID) (name, version string) {
	version = s.Origins[id].Version
	i := slices.IndexFunc(s.Files, func(f boot.EntryFile) bool { return f.Target.ID == id })
	if i < 0 {
		return "", version
	}
	return bootentry.NameIn(s.Files[i].Entry.Title, version), version
}
