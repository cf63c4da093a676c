package finalize

import (
	"fmt"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/etccarry"
)

// A Plan says what is to be done when the machine goes down.
type Plan struct {
	// Idle says why there is nothing to finalize, "" if there is something.
	Idle string
	// DropRecord says that the staged record has served.
	DropRecord bool

	Booted, Staged deployment.ID
	// From and To are how the two deployments have their /etc. To is "" if
	// nothing has to be written for the staged one.
	From, To string
	// Entry is the boot entry to publish, which is the commit.
	Entry string
}

// MakePlan decides what to do. staged is nil if nothing is staged; etc is how
// the booted deployment has its /etc.
func MakePlan(staged *deployment.Staged, booted deployment.ID, etc string) (Plan, error) {
	switch {
	case staged == nil:
		return Plan{Idle: "no deployment is staged"}, nil
	case staged.ID == booted:
		return Plan{Idle: "the staged deployment is the booted one", DropRecord: true}, nil
	case staged.FinalizationLocked:
		return Plan{Idle: "the staged deployment " + staged.ID.Short() + " is locked"}, nil
	case staged.Entry == "":
		return Plan{}, fmt.Errorf("cannot finalize deployment %s: the staged record names no boot entry", staged.ID.Short())
	}
	p := Plan{DropRecord: true, Booted: booted, Staged: staged.ID, From: etc, To: staged.Etc, Entry: staged.Entry}
	if p.To == "" {
		p.To = deployment.EtcOverlay
	}
	switch {
	case p.To == deployment.EtcTransient, p.To == deployment.EtcNone:
		p.To = "" // it would not see local changes
	case p.To == deployment.EtcOverlay && !p.from().HasLocal():
		p.To = "" // the overlay begins empty
	}
	return p, nil
}

// from returns the side that /etc is carried from.
func (p Plan) from() etccarry.Side { return etccarry.Side{ID: p.Booted, Etc: p.From} }

// String returns the plan, a line for each step.
func (p Plan) String() string {
	var b strings.Builder
	if p.Idle != "" {
		fmt.Fprintf(&b, "# %s\n", p.Idle)
	}
	switch {
	case p.To != "" && p.from().HasLocal():
		fmt.Fprintf(&b, "carry /etc of %s (%s) over to %s (%s)\n", p.Booted.Short(), p.From, p.Staged.Short(), p.To)
	case p.To != "":
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
