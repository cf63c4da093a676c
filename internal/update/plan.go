package update

import (
	"context"

	"github.com/sysupdate-image/sysupdate-image/internal/layer"
)

// A Plan says what Apply would fetch.
type Plan struct {
	Reference      string      `json:"reference"`
	ManifestDigest string      `json:"manifestDigest"`
	UpToDate       bool        `json:"upToDate"` // it boots next already
	Layers         []LayerPlan `json:"layers"`
}

// A LayerPlan says whether a layer would be fetched.
type LayerPlan struct {
	Digest  string `json:"digest"`
	Size    int64  `json:"size"` // on the wire, in bytes
	Present bool   `json:"present"`
}

// Plan returns what Apply would do. It changes nothing.
func (m *Machine) Plan(ctx context.Context, o Options, r Reporter) (Plan, error) {
	img, err := m.resolve(ctx, o, r)
	if err != nil {
		return Plan{}, err
	}
	defer img.Close()
	p := Plan{Reference: img.Reference.String(), ManifestDigest: img.ManifestDigest}
	id, _, err := m.isNext(img)
	if err != nil {
		return Plan{}, err
	}
	p.UpToDate = id != ""
	for _, l := range img.Layers {
		present := m.repo != nil && m.repo.HasStream(layer.StreamName(l.DiffID))
		p.Layers = append(p.Layers, LayerPlan{l.Digest.String(), l.Size, present})
	}
	return p, nil
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
