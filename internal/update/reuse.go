package update

import (
	"context"
	"fmt"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/repo"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/stream"
	"github.com/sysupdate-image/sysupdate-image/internal/image/layer"
	"github.com/sysupdate-image/sysupdate-image/internal/image/oci"
)

// reuse takes those of the layers that other repositories have from there, and
// returns the others, which have to be fetched. So has what cannot be reused,
// whatever the reason, of which a warning tells.
func (m *Machine) reuse(ctx context.Context, layers []oci.Layer, dirs []string, r Reporter) ([]oci.Layer, error) {
	for _, dir := range dirs {
		other, err := repo.Open(dir)
		if err != nil {
			m.warn(fmt.Errorf("cannot reuse layers, fetching them instead: %w", err))
			continue
		}
		layers, err = m.reuseFrom(ctx, other, dir, layers, r)
		other.Close()
		if err != nil {
			return nil, err
		}
	}
	return layers, nil
}

func (m *Machine) reuseFrom(ctx context.Context, other *repo.Repository, dir string, layers []oci.Layer, r Reporter) (left []oci.Layer, err error) {
	if other.Algorithm() != m.Repository.Algorithm() {
		m.warn(fmt.Errorf("nothing of %s can be reused: its digests are %s, here they are %s", dir, other.Algorithm(), m.Repository.Algorithm()))
		return layers, nil
	}
	// Nothing may be removed from the other repository until it has been copied.
	unlock, err := other.Lock(false)
	if err != nil {
		m.warn(fmt.Errorf("cannot reuse layers of %s, fetching them instead: %w", dir, err))
		return layers, nil
	}
	defer unlock()
	for _, l := range layers {
		name := layer.StreamName(l.DiffID)
		if !other.HasStream(name) {
			left = append(left, l)
			continue
		}
		r.Step("Reusing layer " + l.Digest.String() + " of " + dir)
		err := m.Repository.CopyStream(ctx, other, name, func(s *stream.Reader) error {
			return layer.CheckStored(ctx, m.Repository, s, l.DiffID)
		})
		if err != nil {
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			m.warn(fmt.Errorf("%w; fetching it instead", err))
			left = append(left, l)
		}
	}
	return left, nil
}
