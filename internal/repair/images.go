package repair

import (
	"errors"
	"fmt"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/erofs"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/repo"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
)

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
	missing := append(r.gone, r.damagedImages(there)...)
	for _, id := range append(built.ids(), deployments...) {
		if d, err := digest.Parse(id); err == nil && !there[id] {
			there[id] = true
			missing = append(missing, repo.Problem{Flaw: repo.DanglingImage, Path: "images/" + id, Detail: "it is not there", Object: d})
		}
	}
	for _, p := range missing {
		r.settleMissing(p, built)
	}
	return nil
}

// damagedImages returns the damaged objects that are images, to be built again.
func (r *run) damagedImages(ids map[string]bool) []repo.Problem {
	var out []repo.Problem
	for _, p := range r.check.Problems {
		if p.Flaw == repo.DamagedObject && ids[p.Object.String()] {
			out = append(out, p)
			r.settled[p.Object] = true
		}
	}
	return out
}

// lookInto sees to it that an image can be read and that its contents are there.
func (r *run) lookInto(id string) {
	d, err := digest.Parse(id)
	if err != nil || !r.check.HasGood(d) {
		return // the object, or the link to it, is a problem already
	}
	add := func(flaw repo.Flaw, detail string) {
		p := repo.Problem{Flaw: flaw, Path: "images/" + id, Detail: detail, Object: d}
		f := Finding{Problem: p}
		if r.repair {
			f.settle(r.beyond())
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
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	// All of the image is read, and checked by that.
	tree, err := erofs.Read(f, info.Size())
	if err != nil {
		return nil, err
	}
	return tree.Objects(), nil
}

// settleMissing builds an image again, or takes away its link.
func (r *run) settleMissing(p repo.Problem, built sources) {
	f := Finding{Problem: p}
	if config := built[p.Object.String()]; config != "" {
		f.Detail += "; " + config + " describes its layers"
	}
	if r.repair {
		err := r.rebuild(p.Object, built)
		if err != nil && errors.Is(err, errUnknownSource) && p.Flaw == repo.DanglingImage && p.Detail != "it is not there" {
			err = r.repo.Repair(p)
		}
		if err != nil && r.failed != nil {
			err = fmt.Errorf("%w; %w", err, r.failed)
		}
		f.settle(err)
	}
	r.report.Findings = append(r.report.Findings, f)
}
