package update

import (
	"context"
	"slices"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/image/layer"
	"github.com/sysupdate-image/sysupdate-image/internal/image/oci"
	"github.com/sysupdate-image/sysupdate-image/internal/machine"
)

// planFrees adds what removing deployments would free in the repository. That takes reading
// the images that stay, and the layers of the new one.
func (m *Machine) planFrees(ctx context.Context, p *Plan, img *oci.Image, s machine.State, v *preview) error {
	if len(p.Remove) == 0 || m.Repository == nil || v == nil && !p.idle() {
		return nil
	}
	gone := idsOf(p.Remove)
	keep := slices.DeleteFunc(s.Known(), func(id deployment.ID) bool { return slices.Contains(gone, id) })
	roots, err := m.roots(keep, img.ManifestDigest)
	if err != nil {
		return err
	}
	if v != nil {
		for _, l := range img.Layers {
			roots.Streams = append(roots.Streams, layer.StreamName(l.DiffID))
		}
		there, err := m.Repository.HasImage(string(v.id))
		if err != nil {
			return err
		}
		if there && !slices.Contains(keep, v.id) {
			roots.Images = append(roots.Images, string(v.id))
		}
	}
	report, err := m.Repository.GC(ctx, roots, true)
	if err != nil || len(report.Unreadable) > 0 {
		return err
	}
	p.Frees = &report.Bytes
	return nil
}

// idsOf returns the ids of deployments.
func idsOf(list []Named) (ids []deployment.ID) {
	for _, d := range list {
		ids = append(ids, d.ID)
	}
	return ids
}
