package update

import (
	"context"

	"github.com/sysupdate-image/sysupdate-image/internal/format/printable"
)

// An Update is what a reference has for a machine.
type Update struct {
	Decision
	Available      bool   `json:"available"`        // Apply would make it the next to boot, or try
	Locked         bool   `json:"locked,omitempty"` // it is staged, and no reboot boots it: Apply would unlock it
	Reference      string `json:"reference"`
	ManifestDigest string `json:"manifestDigest"`
	Version        string `json:"version,omitempty"` // as the image's label has it
	Signature      string `json:"signature"`         // how the image was checked: see oci.Image
	FetchLayers    int    `json:"fetchLayers"`       // layers that are not here
	FetchBytes     int64  `json:"fetchBytes"`        // their size on the wire
}

// Check tells whether there is an update, and fetches no layer of it. It changes nothing, but
// status shows from then on what was found. That
// Apply would refuse the image is an error, as far as its manifest and configuration tell. A
// registry that wants no token gets two requests, and one more about an update that there is.
func (m *Machine) Check(ctx context.Context, o Options, r Reporter) (Update, error) {
	img, o, err := m.resolve(ctx, o, r)
	if err != nil {
		return Update{}, err
	}
	defer img.Close()
	s, err := m.readState()
	if err != nil {
		return Update{}, err
	}
	u := Update{
		Decision: decide(s, o.subject(img, "")), Reference: img.Reference.String(),
		ManifestDigest: img.ManifestDigest, Signature: img.Signature,
	}
	u.Locked = u.Outcome == AlreadyNext && isLocked(s)
	u.Available = u.Outcome == Staged || u.Outcome == Published
	if !u.Available {
		m.noteChecked(img)
		return u, nil
	}
	if err := img.ReadConfig(ctx); err != nil {
		return Update{}, err
	}
	if err := m.checkImage(img, o); err != nil {
		return Update{}, err
	}
	u.Version = printable.Title(img.Config.Config.Labels["org.opencontainers.image.version"])
	fetch := fetchPlan(m.planLayers(img))
	u.FetchLayers, u.FetchBytes = fetch.Layers, fetch.Bytes
	m.noteChecked(img)
	return u, nil
}
