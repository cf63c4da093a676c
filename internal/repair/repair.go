// Package repair checks a whole repository, down to the contents that images refer to, and
// repairs it: it fetches contents again from where they came, and rebuilds missing images
// from their layers.
package repair

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/repo"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
	"github.com/sysupdate-image/sysupdate-image/internal/image/oci"
)

// Flaws of images, besides those of package repo.
const (
	BadImage        repo.Flaw = "damaged image"    // it cannot be read
	IncompleteImage repo.Flaw = "incomplete image" // contents of its files are missing or damaged
)

// A Finding is a problem and what became of it.
type Finding struct {
	repo.Problem
	Repaired bool   `json:"repaired"`
	Why      string `json:"why,omitempty"`    // it was not repaired
	Remedy   string `json:"remedy,omitempty"` // what repairing does about it
}

// same reports whether two findings are of the same problem.
func (f Finding) same(other Finding) bool { return f.Flaw == other.Flaw && f.Path == other.Path }

// A Report is what Run has found.
type Report struct {
	Objects  int       `json:"objects"`
	Bytes    int64     `json:"bytes"` // of the objects
	Images   int       `json:"images"`
	Streams  int       `json:"streams"`
	Refs     int       `json:"refs"`
	Findings []Finding `json:"problems"`
}

// Left returns how many problems are not repaired.
func (r Report) Left() (n int) {
	for _, f := range r.Findings {
		if !f.Repaired {
			n++
		}
	}
	return n
}

// Options say what Run does.
type Options struct {
	Deployments []string // ids of the images that a machine needs
	Physical    *os.Root // physical root of the machine; nil where the repository stands alone
	Origins     []Origin // where they came from
	Repair      bool
	Offline     bool         // fetch nothing
	Source      oci.Options  // how to fetch
	Tell        func(string) // what is being done, in words for a person; may be nil
	Watcher     repo.Watcher // of reading the objects; may be nil
}

// Run checks a repository, and repairs what it can if that is wanted: what is lost
// is fetched again by the digests that it has to have, and then everything is
// checked once more. The caller holds a lock, to repair the exclusive one.
func Run(ctx context.Context, repo *repo.Repository, o Options) (Report, error) {
	if o.Tell == nil {
		o.Tell = func(string) {}
	}
	found, lost, check, err := look(ctx, repo, o)
	if err != nil || !o.Repair || len(found.Findings) == 0 {
		return found, err
	}
	r := &run{ctx: ctx, repo: repo, check: check}
	if err := r.distrust(); err != nil {
		return found, err
	}
	var done bool
	var failed error
	switch {
	case len(lost.fetches) == 0:
	case o.Offline:
		failed = errors.New("nothing was fetched: offline")
	default:
		done, failed = r.fetchLosses(lost, o.Source, o.Tell)
	}
	if err := ctx.Err(); err != nil {
		return found, err
	}
	if done {
		o.Tell("Checking again")
		if check, err = repo.Check(ctx, o.Watcher); err != nil {
			return found, err
		}
	}
	r = &run{ctx: ctx, repo: repo, check: check, repair: true, failed: failed}
	left, err := r.findings(o)
	return found.after(left), err
}

// distrust makes sure that neither this repair nor a later apply trusts an object that
// stays damaged.
func (r *run) distrust() error {
	var damaged []digest.Digest
	for _, p := range r.check.Problems {
		if p.Flaw == repo.DamagedObject {
			damaged = append(damaged, p.Object)
		}
	}
	return r.repo.Distrust(damaged...)
}

// look finds out what is wrong, and what could be done about it.
func look(ctx context.Context, repo *repo.Repository, o Options) (Report, *losses, *repo.Check, error) {
	check, err := repo.Check(ctx, o.Watcher)
	if err != nil {
		return Report{}, nil, nil, err
	}
	r := &run{ctx: ctx, repo: repo, check: check}
	report, err := r.findings(o)
	if err != nil || len(report.Findings) == 0 {
		return report, &losses{}, check, err
	}
	lost, err := r.findLosses(o.Origins)
	if err != nil {
		return report, nil, check, err
	}
	built, err := r.builtFrom()
	if err != nil {
		return report, nil, check, err
	}
	for i := range report.Findings {
		f := &report.Findings[i]
		f.Remedy = r.remedy(lost, f.Problem, built)
	}
	return report, lost, check, nil
}

// after returns what was found, with what became of it: left are the findings of
// the run that repaired.
func (found Report) after(left Report) Report {
	for i := range found.Findings {
		f := &found.Findings[i]
		f.Repaired = true
		for _, l := range left.Findings {
			if l.same(*f) {
				f.Repaired, f.Why = l.Repaired, l.Why
			}
		}
	}
	for _, l := range left.Findings {
		if !slices.ContainsFunc(found.Findings, l.same) {
			found.Findings = append(found.Findings, l)
		}
	}
	return found
}

type run struct {
	ctx     context.Context
	repo    *repo.Repository
	check   *repo.Check
	repair  bool
	failed  error // why not all that is lost was fetched
	report  Report
	gone    []repo.Problem // links of images that lead to nothing
	settled map[digest.Digest]bool
	losses  *losses
}

// findings returns all problems, repaired where that is wanted.
func (r *run) findings(o Options) (Report, error) {
	check := r.check
	r.report = Report{
		Objects: check.Objects, Bytes: check.Bytes, Images: check.Images, Streams: check.Streams, Refs: check.Refs,
		Findings: []Finding{},
	}
	r.settled = make(map[digest.Digest]bool)
	for _, p := range check.Problems {
		if p.Flaw == repo.DanglingImage {
			r.gone = append(r.gone, p)
		}
	}
	var err error
	if r.repair {
		if r.losses, err = r.findLosses(o.Origins); err != nil {
			return r.report, err
		}
	}
	// Images first: building them needs streams that are then let go of.
	for _, step := range []func() error{func() error { return r.images(o.Deployments) }, r.problems, r.leftRefs,
		func() error { return r.varLinks(o.Physical) }} {
		if err := step(); err != nil {
			return r.report, err
		}
	}
	return r.report, nil
}

// problems takes over what the store has found, repaired where that is wanted.
func (r *run) problems() error {
	for _, p := range r.check.Problems {
		if err := r.ctx.Err(); err != nil {
			return err
		}
		if p.Flaw == repo.DanglingImage || r.settled[p.Object] && p.Flaw == repo.DamagedObject {
			continue // see images
		}
		f := Finding{Problem: p}
		if r.repair {
			f.settle(r.repairProblem(p))
		}
		r.report.Findings = append(r.report.Findings, f)
	}
	return nil
}

// repairProblem repairs what is no matter of an image. What is damaged and could
// not be fetched stays, unless nothing needs it.
func (r *run) repairProblem(p repo.Problem) error {
	if p.Flaw != repo.DamagedObject {
		return r.repo.Repair(p)
	}
	if !r.losses.unread && !r.losses.needed[p.Object] {
		return r.repo.DropObject(p.Object)
	}
	return r.beyond()
}

// beyond says why something is beyond repair.
func (r *run) beyond() error {
	if r.failed != nil {
		return r.failed
	}
	return fmt.Errorf("%w, and nothing says where it came from", repo.ErrBeyondRepair)
}

// settle notes how a repair has ended.
func (f *Finding) settle(err error) {
	f.Repaired = err == nil
	if err != nil {
		f.Why = err.Error()
	}
}

// leftRefs removes the refs that lead to what was removed.
func (r *run) leftRefs() error {
	if !r.repair {
		return nil
	}
	left, err := r.repo.DanglingRefs()
	if err != nil {
		return err
	}
	for _, p := range left {
		f := Finding{Problem: p}
		f.settle(r.repo.Repair(p))
		r.report.Findings = append(r.report.Findings, f)
	}
	return nil
}
