package update

import (
	"context"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/image/layer"
	"github.com/sysupdate-image/sysupdate-image/internal/image/oci"
)

// A Plan says what Apply would fetch.
type Plan struct {
	Reference      string `json:"reference"`
	ManifestDigest string `json:"manifestDigest"`
	Signature      string `json:"signature"`            // how the image was checked: see oci.Image
	UpToDate       bool   `json:"upToDate"`             // Apply would do nothing: it boots next, or see QueuedRollback
	PassedOver     string `json:"passedOver,omitempty"` // why Apply would do nothing: it has failed here
	// QueuedRollback is what a rollback has made the next instead of what runs,
	// which is the image.
	QueuedRollback deployment.ID `json:"queuedRollback,omitempty"`
	Layers         []LayerPlan   `json:"layers"`
	// EtcChecked says that EtcConflicts is known: that takes all layers.
	EtcChecked   bool                     `json:"etcChecked"`
	EtcConflicts []deployment.EtcConflict `json:"etcConflicts,omitempty"`
}

// A LayerPlan says whether a layer would be fetched.
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
	p := Plan{Reference: img.Reference.String(), ManifestDigest: img.ManifestDigest, Signature: img.Signature}
	id, _, err := m.isNext(img)
	if err == nil && id == "" && o.Reference == "" {
		var left Result // a queued rollback stays, see nothingToDo
		id, _, err = m.isLeft(img, &left)
		p.QueuedRollback = left.QueuedRollback
	}
	if err != nil {
		return Plan{}, err
	}
	p.UpToDate = id != ""
	if p.PassedOver, err = m.wouldPassOver(img, o); err != nil {
		return Plan{}, err
	}
	if !p.UpToDate && p.PassedOver == "" {
		if err := m.checkImage(img, o); err != nil {
			return Plan{}, err
		}
	}
	for _, l := range img.Layers {
		present := m.repo != nil && m.repo.HasStream(layer.StreamName(l.DiffID))
		p.Layers = append(p.Layers, LayerPlan{l.Digest.String(), l.Size, present})
	}
	from, err := m.etcSide()
	if err != nil {
		return Plan{}, err
	}
	p.EtcChecked = p.UpToDate || !from.HasLocal() || p.FetchLayers() == 0
	if p.EtcChecked && !p.UpToDate && from.HasLocal() {
		p.EtcConflicts, err = m.planEtc(ctx, img)
	}
	return p, err
}

// planEtc returns the conflicts in /etc of an image whose layers are here.
func (m *Machine) planEtc(ctx context.Context, img *oci.Image) ([]deployment.EtcConflict, error) {
	system, err := compose(ctx, img, m.repo, false)
	if err != nil {
		return nil, err
	}
	if err := system.transform(ctx); err != nil {
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
