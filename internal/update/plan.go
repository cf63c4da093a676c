package update

import (
	"cmp"
	"context"
	"slices"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/image/layer"
	"github.com/sysupdate-image/sysupdate-image/internal/image/oci"
	"github.com/sysupdate-image/sysupdate-image/internal/image/system"
	"github.com/sysupdate-image/sysupdate-image/internal/machine"
)

// A Plan is what Apply would do, as far as it can be told without fetching anything.
type Plan struct {
	Decision
	Reference      string          `json:"reference"`
	ManifestDigest string          `json:"manifestDigest"`
	Signature      string          `json:"signature"` // how the image was checked: see oci.Image
	Layers         []LayerPlan     `json:"layers"`
	Steps          []Step          `json:"steps"`            // in order; none if there is nothing to do
	Remove         []deployment.ID `json:"remove,omitempty"` // deployments that would not stay
	// EtcChecked reports that EtcConflicts is known: that takes all layers.
	EtcChecked   bool                     `json:"etcChecked"`
	EtcConflicts []deployment.EtcConflict `json:"etcConflicts,omitempty"`
	// SoftReboot is nil if none was asked for, or nothing new would boot.
	SoftReboot *Possibility `json:"softReboot,omitempty"`
	Kexec      *Possibility `json:"kexec,omitempty"` // the same
}

// A Step is a part of what Apply does.
type Step string

// The steps, in the order in which Apply takes them.
const (
	StepRestrict Step = "restrict"  // the repository, whose mode lets other users in
	StepFetch    Step = "fetch"     // the missing layers, into the repository
	StepBuild    Step = "build"     // the composefs image
	StepEtc      Step = "check-etc" // that local changes to /etc fit, or that a policy decides
	StepUnstage  Step = "unstage"   // what is staged
	StepStage    Step = "stage"     // kernel, state and boot entry, for finalize to publish at shutdown
	StepPublish  Step = "publish"   // the same, and carry over /etc: it boots next
	StepRestore  Step = "restore"   // kernel and boot entry of the booted deployment, which are gone: it boots next
	StepRollback Step = "rollback"  // to the booted deployment: its boot entry becomes the first
	StepPrune    Step = "prune"     // what does not stay
)

// UpToDate reports whether the image boots next already, or is running and left to a
// queued rollback.
func (p Plan) UpToDate() bool { return p.settled }

// A LayerPlan reports whether a layer would be fetched.
type LayerPlan struct {
	Digest  string `json:"digest"`
	Size    int64  `json:"size"` // on the wire, in bytes
	Present bool   `json:"present"`
}

// Plan returns what Apply would do. It changes nothing.
func (m *Machine) Plan(ctx context.Context, o Options, r Reporter) (Plan, error) {
	img, o, err := m.resolve(ctx, o, r)
	if err != nil {
		return Plan{}, err
	}
	defer img.Close()
	if err := img.ReadConfig(ctx); err != nil {
		return Plan{}, err
	}
	s, spare, err := m.stateAndSpare()
	if err != nil {
		return Plan{}, err
	}
	p := Plan{
		Decision: decide(s, o.subject(img, "")), Reference: img.Reference.String(),
		ManifestDigest: img.ManifestDigest, Signature: img.Signature, Layers: m.planLayers(img),
	}
	open, err := m.isOpen()
	if err != nil {
		return Plan{}, err
	}
	p.Remove = removed(s, p.Decision, spare)
	p.Steps = p.steps(s)
	if open {
		p.Steps = append([]Step{StepRestrict}, p.Steps...)
	}
	if o.SoftReboot != NotWanted && p.Outcome.Boots() {
		if p.SoftReboot, _, err = m.softRebootOf(ctx, img, o, s, p.Decision); err != nil {
			return Plan{}, err
		}
	}
	if o.Kexec != NotWanted && p.Outcome.Boots() {
		if p.Kexec, err = m.planKexec(o.Kexec); err != nil {
			return Plan{}, err
		}
	}
	if p.settled || p.failed != nil {
		p.EtcChecked = true
		return p, nil
	}
	if err := m.checkImage(img, o); err != nil {
		return Plan{}, err
	}
	from, err := m.etcSide()
	if err != nil || p.Outcome == AlreadyBooted || p.Outcome == RollbackQueued || !from.HasLocal() {
		p.EtcChecked = true
		return p, err
	}
	if p.EtcChecked = p.FetchLayers() == 0; p.EtcChecked {
		p.EtcConflicts, err = m.planEtc(ctx, img)
	}
	return p, err
}

func (m *Machine) planLayers(img *oci.Image) (layers []LayerPlan) {
	for _, l := range img.Layers {
		present := m.Repository != nil && m.Repository.HasStream(layer.StreamName(l.DiffID))
		layers = append(layers, LayerPlan{l.Digest.String(), l.Size, present})
	}
	return layers
}

// steps returns the steps that carry out the decision.
func (p Plan) steps(s machine.State) []Step {
	steps := []Step{}
	if !p.settled && p.failed == nil {
		if p.FetchLayers() > 0 {
			steps = append(steps, StepFetch)
		}
		steps = append(steps, StepBuild)
		if p.Outcome == Staged || p.Outcome == Published {
			steps = append(steps, StepEtc)
		}
		if s.Staged != nil {
			steps = append(steps, StepUnstage)
		}
		switch {
		case p.Outcome == Staged:
			steps = append(steps, StepStage)
		case p.Outcome == Published && p.ID != "" && p.ID == s.Booted:
			steps = append(steps, StepRestore)
		case p.Outcome == Published:
			steps = append(steps, StepPublish)
		case p.DroppedRollback != "":
			steps = append(steps, StepRollback)
		}
	}
	if len(p.Remove) > 0 {
		steps = append(steps, StepPrune)
	}
	return steps
}

// unbuilt stands for the deployment of an image that is not built yet.
const unbuilt deployment.ID = "unbuilt"

// removed returns the deployments that Apply removes when it has carried out a decision
// on a machine in that state, unless the boot partition has no room for all that stay.
func removed(s machine.State, d Decision, spare int) []deployment.ID {
	after := s
	switch id := cmp.Or(d.ID, unbuilt); {
	case d.settled || d.failed != nil:
	case d.Outcome == Staged:
		after = s.AfterStaging(id)
	case d.Outcome == Published:
		after = s.AfterPublishing(id)
	case d.DroppedRollback != "":
		after = s.AfterRollback(id)
	default:
		after = s.AfterUnstaging()
	}
	kept := after.Kept(spare)
	if len(kept) == 0 {
		return nil
	}
	return slices.DeleteFunc(s.Known(), func(id deployment.ID) bool { return slices.Contains(kept, id) })
}

// planEtc returns the conflicts in /etc of an image whose layers are here.
func (m *Machine) planEtc(ctx context.Context, img *oci.Image) ([]deployment.EtcConflict, error) {
	system, err := system.Compose(ctx, img, m.Repository, false)
	if err != nil {
		return nil, err
	}
	if err := system.Transform(ctx); err != nil {
		return nil, err
	}
	return m.etcConflicts(ctx, system)
}

// FetchLayers returns how many layers would be fetched.
func (p Plan) FetchLayers() (n int) {
	for _, l := range p.Layers {
		if !l.Present {
			n++
		}
	}
	return n
}

// FetchBytes returns how many bytes would be fetched.
func (p Plan) FetchBytes() (n int64) {
	for _, l := range p.Layers {
		if !l.Present {
			n += l.Size
		}
	}
	return n
}
