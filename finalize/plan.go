package finalize

import (
	"errors"
	"fmt"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/etc/carry"
	"github.com/sysupdate-image/sysupdate-image/internal/format/bootentry"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
)

// A Plan says what is to be done when the machine goes down.
type Plan struct {
	// Idle says why there is nothing to finalize, "" if there is something.
	Idle   string
	Locked bool // it is for the administrator to say when
	// DropRecord says that the staged record has served; KeepRecord that it has
	// not yet once the entry is published, since the running system keeps running.
	DropRecord, KeepRecord bool
	// ByKexec says that a kernel starts next that was loaded before.
	ByKexec bool

	Booted, Staged deployment.ID
	From, To       deployment.EtcMode // how the two keep their /etc
	// Conflicts says which side wins a conflict of /etc.
	Conflicts deployment.ConflictPolicy
	// Entry is the boot entry to publish, which is the commit. Published says
	// that this was done at an earlier shutdown, and what was booted since was the
	// same as before.
	Entry     string
	Published bool
}

// MakePlan decides what to do. staged is nil if nothing is staged; etc is how
// the booted deployment has its /etc.
func MakePlan(staged *deployment.Staged, booted deployment.ID, etc deployment.EtcMode) (Plan, error) {
	switch {
	case staged == nil:
		return Plan{Idle: "no deployment is staged"}, nil
	case staged.ID == booted:
		return Plan{Idle: "the staged deployment is the booted one", DropRecord: true}, nil
	case staged.FinalizationLocked:
		return Plan{Locked: true, Idle: "the staged deployment " + staged.ID.Short() + " is locked"}, nil
	case staged.Entry == "":
		return Plan{}, errors.New("the staged record names no boot entry")
	}
	p := Plan{
		DropRecord: true, Booted: booted, Staged: staged.ID, From: etc, To: staged.Etc, Entry: staged.Entry,
		Conflicts: staged.EtcConflicts, Published: staged.Published,
	}
	if p.To == "" {
		p.To = deployment.EtcOverlay
	}
	return p, nil
}

// idleID returns the id of the message that there is nothing to finalize.
func (p Plan) idleID() messageID {
	if p.Locked {
		return msgLocked
	}
	return msgNothingStaged
}

// entryName returns the name of the entry to publish, taken apart.
func (p Plan) entryName() (bootentry.Name, error) {
	return bootentry.ParseName(strings.TrimSuffix(p.Entry, ".staged"))
}

// from returns the side that /etc is carried from, to the one it is carried to.
func (p Plan) from() carry.Side { return carry.Side{ID: p.Booted, Etc: p.From} }
func (p Plan) to() carry.Side   { return carry.Side{ID: p.Staged, Etc: p.To} }

// String returns the plan, a line for each step.
func (p Plan) String() string {
	var b strings.Builder
	if p.Idle != "" {
		fmt.Fprintf(&b, "# %s\n", p.Idle)
	}
	switch {
	case p.from().HasLocal() && p.to().HasLocal():
		fmt.Fprintf(&b, "carry /etc of %s (%s) over to %s (%s)", p.Booted.Short(), p.From, p.Staged.Short(), p.To)
		if p.Conflicts == deployment.ConflictsNew {
			b.WriteString(", the image wins conflicts")
		}
		b.WriteByte('\n')
	case p.from().HasLocal():
		fmt.Fprintf(&b, "leave local changes to /etc behind in %s: %s has it as its image (%s)\n", p.Booted.Short(), p.Staged.Short(), p.To)
	case p.To == deployment.EtcBind:
		fmt.Fprintf(&b, "copy the image's /etc to %s (%s)\n", p.Staged.Short(), p.To)
	}
	if p.Entry != "" {
		fmt.Fprintf(&b, "publish boot entry %s\n", p.Entry)
	}
	if p.DropRecord {
		b.WriteString("drop the staged record\n")
	}
	return b.String()
}
