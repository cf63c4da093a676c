package update

import (
	"cmp"
	"context"
	"slices"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/printable"
	"github.com/sysupdate-image/sysupdate-image/internal/image/layer"
	"github.com/sysupdate-image/sysupdate-image/internal/image/oci"
	"github.com/sysupdate-image/sysupdate-image/internal/machine"
)

// A Plan is what Apply would do, as far as it can be told without fetching anything: what
// depends on layers that are not here is nil. docs/schema/plan.schema.json describes it as JSON.
type Plan struct {
	Decision
	Reference      string      `json:"reference"`
	ManifestDigest string      `json:"manifestDigest"`
	Signature      string      `json:"signature"` // how the image was checked: see oci.Image
	From           *Named      `json:"from"`      // the deployment that the new one follows, nil for the first
	To             Named       `json:"to"`        // the name is "" as long as only its layers tell
	Layers         []LayerPlan `json:"layers"`
	Fetch          FetchPlan   `json:"fetch"`
	Write          *WritePlan  `json:"write"`
	Room           []Room      `json:"room"`
	Steps          []Step      `json:"steps"`            // in order; none if there is nothing to do
	Remove         []Named     `json:"remove,omitempty"` // deployments that would not stay
	Frees          *int64      `json:"frees"`            // bytes of objects; nil if none is removed, or it is not known
	Changes        *Changes    `json:"changes"`
	SBOM           *SBOMPlan   `json:"sbom"` // nil if Changes has the packages, or there is no SBOM
	Reboot         *RebootPlan `json:"reboot"`
	// EtcChecked reports that EtcConflicts is known: that takes all layers.
	EtcChecked   bool                     `json:"etcChecked"`
	EtcConflicts []deployment.EtcConflict `json:"etcConflicts,omitempty"`
	// SoftReboot is nil if none was asked for, or nothing new would boot.
	SoftReboot *Possibility `json:"softReboot,omitempty"`
	Kexec      *Possibility `json:"kexec,omitempty"` // the same
}

// A Named is a deployment by the names that people have for it.
type Named struct {
	ID      deployment.ID `json:"deployment,omitempty"`
	Name    string        `json:"name,omitempty"`
	Version string        `json:"version,omitempty"`
}

// A FetchPlan is what would be fetched.
type FetchPlan struct {
	Layers int   `json:"layers"`
	Bytes  int64 `json:"bytes"` // on the wire
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
	StepUnlock   Step = "unlock"    // what is staged: it takes over at shutdown
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
	Size    int64  `json:"size"`    // on the wire, in bytes
	Present bool   `json:"present"` // it is here, or the image has it twice
}

// Plan returns what Apply would do. It changes nothing.
func (m *Machine) Plan(ctx context.Context, o Options, r Reporter) (Plan, error) {
	defer m.warnOnce()()
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
	p.Fetch = fetchPlan(p.Layers)
	open, err := m.isOpen()
	if err != nil {
		return Plan{}, err
	}
	v, err := m.previewFor(ctx, img, o, p)
	if err != nil {
		return Plan{}, err
	}
	if v != nil {
		p.Decision = decide(s, o.subject(img, v.id))
	}
	p.Remove = named(s, removed(s, p.Decision, spare))
	p.Steps = p.steps(s)
	if open {
		p.Steps = append([]Step{StepRestrict}, p.Steps...)
	}
	if err := m.planNames(&p, img, s, v); err != nil {
		return Plan{}, err
	}
	return p, m.planDetails(ctx, &p, img, o, s, v)
}

// planDetails adds to a plan what depends on more than the state of the machine. v is nil if
// that is not known, or there is nothing to do.
func (m *Machine) planDetails(ctx context.Context, p *Plan, img *oci.Image, o Options, s machine.State, v *preview) error {
	if err := m.planReboot(ctx, p, img, o, s, v); err != nil {
		return err
	}
	if o.Kexec != NotWanted && p.Outcome.Boots() {
		var err error
		if p.Kexec, err = m.planKexec(o.Kexec); err != nil {
			return err
		}
	}
	if err := m.planRoom(ctx, p, img, v); err != nil {
		return err
	}
	if err := m.planFrees(ctx, p, img, s, v); err != nil {
		return err
	}
	if err := m.planChanges(ctx, p, v); err != nil {
		return err
	}
	return m.planSBOM(ctx, p, img, v)
}

// previewFor returns a preview of the image if something is to be done with it that takes its
// layers, and all are here.
func (m *Machine) previewFor(ctx context.Context, img *oci.Image, o Options, p Plan) (*preview, error) {
	if p.idle() {
		return nil, nil
	}
	if err := m.checkImage(img, o); err != nil || p.Fetch.Layers > 0 || m.Repository == nil {
		return nil, err
	}
	return m.preview(ctx, img, o)
}

// idle reports whether nothing becomes of the image.
func (p Plan) idle() bool { return p.settled || p.failed != nil }

// planNames adds what people call the deployment, and the one before it.
func (m *Machine) planNames(p *Plan, img *oci.Image, s machine.State, v *preview) error {
	from, err := m.current()
	if err != nil {
		return err
	}
	if from != "" {
		p.From = &named(s, []deployment.ID{from})[0]
	}
	p.To = Named{ID: p.ID, Version: printable.Title(img.Config.Config.Labels["org.opencontainers.image.version"])}
	switch {
	case v != nil:
		p.To = Named{v.id, v.Name, v.Version}
	case p.ID != "":
		p.To = named(s, []deployment.ID{p.ID})[0]
	}
	return nil
}

// named returns deployments with what people call them.
func named(s machine.State, ids []deployment.ID) (all []Named) {
	for _, id := range ids {
		name, version := nameOf(s, id)
		all = append(all, Named{id, name, version})
	}
	return all
}

func (m *Machine) planLayers(img *oci.Image) (layers []LayerPlan) {
	seen := make(map[string]bool)
	for _, l := range img.Layers {
		name := layer.StreamName(l.DiffID)
		present := seen[name] || m.Repository != nil && m.Repository.HasStream(name)
		layers = append(layers, LayerPlan{l.Digest.String(), l.Size, present})
		seen[name] = true
	}
	return layers
}

// steps returns the steps that carry out the decision.
func (p Plan) steps(s machine.State) []Step {
	steps := []Step{}
	if !p.idle() {
		if p.Fetch.Layers > 0 {
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
	if p.Outcome == AlreadyNext && isLocked(s) {
		steps = append(steps, StepUnlock)
	}
	if len(p.Remove) > 0 {
		steps = append(steps, StepPrune)
	}
	return steps
}

// isLocked reports whether something is staged that no reboot boots.
func isLocked(s machine.State) bool { return s.Staged != nil && s.Staged.FinalizationLocked }

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

// fetchPlan returns what of the layers would be fetched.
func fetchPlan(layers []LayerPlan) (f FetchPlan) {
	for _, l := range layers {
		if !l.Present {
			f.Layers++
			f.Bytes += l.Size
		}
	}
	return f
}

// warnOnce has each warning be told once, until restore is called: a plan looks at some
// things twice.
func (m *Machine) warnOnce() (restore func()) {
	warn, told := m.warn, make(map[string]bool)
	m.warn = func(err error) {
		if !told[err.Error()] {
			told[err.Error()] = true
			warn(err)
		}
	}
	return func() { m.warn = warn }
}
