package record

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/test/powercut/mutate"
)

// A Verdict says how a mutant fared.
type Verdict struct {
	Mutant mutate.Mutant
	// Killed says that a power cut broke something, How what.
	Killed     bool
	How        string
	FSType     string
	Conditions Conditions
	Cuts       int // that were checked
}

// Conditions are those of a recording of a mutant.
type Conditions struct {
	Neighbour bool
	Cluster   int // as in Lab
}

func (c Conditions) String() string {
	who := "quiet"
	if c.Neighbour {
		who = "beside a neighbour"
	}
	if c.Cluster != DefaultCluster {
		who += fmt.Sprintf(", clusters of %d bytes", 512*c.Cluster)
	}
	return who
}

// conditions are those that a mutant is tried in, with each type of root.
var conditions = []Conditions{
	{false, DefaultCluster}, // nothing is on the disk but what somebody synced
	{true, DefaultCluster},  // all is that nobody held back
	{false, 1},              // directories of the boot partition are in pieces
	{true, 1},               // both
}

// TryMutant records the life of a machine with the programs' mutant, with each
// type of root in turn, and checks power cuts until one of them breaks something.
func (l Lab) TryMutant(ctx context.Context, m mutate.Mutant, fstypes []string, cuts int) (Verdict, error) {
	v := Verdict{Mutant: m}
	dir, err := os.MkdirTemp(l.Dir, "mutant-")
	if err != nil {
		return v, err
	}
	defer os.RemoveAll(dir)
	own := l
	own.Dir = dir
	if own.BuildFlags, err = m.Overlay(l.Repository, dir); err != nil {
		return v, err
	}
	for _, fstype := range fstypes {
		for _, c := range conditions {
			v.FSType, v.Conditions, own.Cluster = fstype, c, c.Cluster
			if err := own.try(ctx, &v, cuts); err != nil || v.Killed {
				return v, err
			}
		}
	}
	return v, nil
}

// try makes one recording, and checks first few cuts and then many, and with a
// neighbour at last has machines go on from some of them, to notice a mutant that
// shows in nothing that can be looked at.
func (l Lab) try(ctx context.Context, v *Verdict, cuts int) error {
	r, err := l.Record(ctx, v.FSType, 100, v.Conditions.Neighbour)
	if err != nil {
		// What does not even work is no proof that a power cut is noticed.
		return fmt.Errorf("%s: %w", v.Mutant.Name, err)
	}
	defer os.RemoveAll(r.Dir)
	plans := []Plan{{Cuts: min(80, cuts)}}
	if cuts > 80 {
		plans = append(plans, Plan{Cuts: cuts})
	}
	if v.Conditions.Neighbour {
		plans = append(plans, Plan{Cuts: cuts, Recover: cuts / 8})
	}
	for _, plan := range plans {
		plan.Seed, plan.Guests = 1, 1
		report, err := l.Check(ctx, r, plan)
		if err != nil {
			return err
		}
		v.Cuts += report.Cuts
		if len(report.Failures) > 0 {
			f := report.Failures[0]
			v.Killed, v.How = true, fmt.Sprintf("after %q, %s: %s", f.Step, f.Cut, strings.Join(f.Wrong, "; "))
			return nil
		}
	}
	return nil
}
