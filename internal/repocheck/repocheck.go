// Package repocheck finds out what is wrong with a repository as a whole, down
// to the contents that images name, and repairs what can be repaired without the
// network: an image that is gone is built again from its layers.
package repocheck

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/sysupdate-image/sysupdate-image/internal/digest"
	"github.com/sysupdate-image/sysupdate-image/internal/erofs"
	"github.com/sysupdate-image/sysupdate-image/internal/store"
)

// Flaws of images, besides those of package store.
const (
	BadImage        store.Flaw = "damaged image"    // it cannot be read
	IncompleteImage store.Flaw = "incomplete image" // contents of its files are missing or damaged
)

// A Finding is a problem and what became of it.
type Finding struct {
	store.Problem
	Repaired bool   `json:"repaired"`
	Why      string `json:"why,omitempty"` // it was not repaired
}

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

// Run checks a repository, and with repair repairs what it can. deployments are
// the ids of the images that a machine needs. The caller holds a lock, to repair
// the exclusive one.
func Run(ctx context.Context, repo *store.Repository, deployments []string, repair bool) (Report, error) {
	check, err := repo.Check(ctx)
	if err != nil {
		return Report{}, err
	}
	c := run{ctx: ctx, repo: repo, check: check, repair: repair}
	c.report = Report{
		Objects: check.Objects, Bytes: check.Bytes, Images: check.Images, Streams: check.Streams, Refs: check.Refs,
		Findings: []Finding{},
	}
	for _, p := range check.Problems {
		if p.Flaw == store.DanglingImage {
			c.gone = append(c.gone, p)
		}
	}
	// Images first: building them needs streams that are then let go of.
	for _, step := range []func() error{func() error { return c.images(deployments) }, c.problems, c.leftRefs} {
		if err := step(); err != nil {
			return c.report, err
		}
	}
	return c.report, nil
}

type run struct {
	ctx    context.Context
	repo   *store.Repository
	check  *store.Check
	repair bool
	report Report
	gone   []store.Problem // links of images that lead to nothing
}

// problems takes over what the store has found, repaired where that is wanted.
func (r *run) problems() error {
	for _, p := range r.check.Problems {
		if err := r.ctx.Err(); err != nil {
			return err
		}
		if p.Flaw == store.DanglingImage {
			continue // see images
		}
		f := Finding{Problem: p}
		if r.repair {
			f.settle(r.repo.Repair(p))
		}
		r.report.Findings = append(r.report.Findings, f)
	}
	return nil
}

// settle notes how a repair has ended.
func (f *Finding) settle(err error) {
	f.Repaired = err == nil
	if err != nil {
		f.Why = err.Error()
	}
}

// images looks into each image that there is, and builds those again that are
// not and should be: whose links are there, which a configuration names, or
// which a deployment needs.
func (r *run) images(deployments []string) error {
	ids, err := r.repo.Images()
	if err != nil {
		return err
	}
	there := make(map[string]bool)
	for _, p := range r.gone {
		there[p.Object.String()] = true // not to be looked into
	}
	for _, id := range ids {
		if err := r.ctx.Err(); err != nil {
			return err
		}
		if !there[id] {
			there[id] = true
			r.lookInto(id)
		}
	}
	built, err := r.builtFrom()
	if err != nil {
		return err
	}
	missing := r.gone
	for _, id := range append(built.ids(), deployments...) {
		if d, err := digest.Parse(id); err == nil && !there[id] {
			there[id] = true
			missing = append(missing, store.Problem{Flaw: store.DanglingImage, Path: "images/" + id, Detail: "it is not there", Object: d})
		}
	}
	for _, p := range missing {
		r.settleMissing(p, built)
	}
	return nil
}

// lookInto sees to it that an image can be read and that its contents are there.
func (r *run) lookInto(id string) {
	d, err := digest.Parse(id)
	if err != nil || !r.check.HasGood(d) {
		return // the object, or the link to it, is a problem already
	}
	add := func(flaw store.Flaw, detail string) {
		p := store.Problem{Flaw: flaw, Path: "images/" + id, Detail: detail, Object: d}
		f := Finding{Problem: p}
		if r.repair {
			f.settle(store.ErrBeyondRepair)
		}
		r.report.Findings = append(r.report.Findings, f)
	}
	objects, err := r.objectsOf(id)
	if err != nil {
		add(BadImage, err.Error())
		return
	}
	var lacking []digest.Digest
	for _, o := range objects {
		if !r.check.HasGood(o) {
			lacking = append(lacking, o)
		}
	}
	if len(lacking) > 0 {
		add(IncompleteImage, fmt.Sprintf("%d of its objects cannot be used, the first is %s", len(lacking), lacking[0]))
	}
}

func (r *run) objectsOf(id string) ([]digest.Digest, error) {
	f, err := r.repo.OpenImage(id)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return ObjectsOf(f)
}

// ObjectsOf returns the objects that a composefs image names.
func ObjectsOf(image *os.File) ([]digest.Digest, error) {
	info, err := image.Stat()
	if err != nil {
		return nil, err
	}
	tree, err := erofs.Read(image, info.Size())
	if err != nil {
		return nil, err
	}
	return tree.Objects(), nil
}

// settleMissing builds an image again, or takes away its link.
func (r *run) settleMissing(p store.Problem, built sources) {
	f := Finding{Problem: p}
	if config := built[p.Object.String()]; config != "" {
		f.Detail += "; " + config + " says of what it is made"
	}
	if r.repair {
		err := r.rebuild(p.Object, built)
		if err != nil && errors.Is(err, errUnknownSource) && p.Detail != "it is not there" {
			err = r.repo.Repair(p)
		}
		f.settle(err)
	}
	r.report.Findings = append(r.report.Findings, f)
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
