package update

import (
	"context"
	"fmt"
	"slices"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/erofs"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/image/oci"
	"github.com/sysupdate-image/sysupdate-image/internal/image/packages"
	"github.com/sysupdate-image/sysupdate-image/internal/image/system"
)

// An SBOMPlan is how packages change as the SBOM of the new image has it, which nothing compares
// with the image.
type SBOMPlan struct {
	Packages []packages.ManagerDiff `json:"packages"`
}

// planSBOM adds how packages change by the SBOM of the image, where its layers are not here, or
// have no database of packages that is read. It only informs: what keeps it from that is a
// warning.
func (m *Machine) planSBOM(ctx context.Context, p *Plan, img *oci.Image, v *preview) error {
	from, err := m.current()
	if err != nil || from == "" || p.idle() || v != nil && hasPackages(packages.Of(v.FS())) {
		return err
	}
	now, err := m.sbomLists(ctx, img, img.ManifestDigest)
	if err != nil {
		m.warn(err)
	}
	if len(now) == 0 {
		return ctx.Err()
	}
	old := m.listsOf(ctx, img, from)
	if len(old) == 0 {
		return ctx.Err() // everything would look new
	}
	p.SBOM = &SBOMPlan{Packages: append([]packages.ManagerDiff{}, packages.CompareLists(old, now)...)}
	return nil
}

// hasPackages reports whether lists could be read, and are all that there are.
func hasPackages(lists []packages.List, err error) bool {
	return err == nil && len(lists) > 0 && !slices.ContainsFunc(lists, func(l packages.List) bool { return l.Unread })
}

// sbomLists returns the packages in the SBOM that the registry of an image has for a manifest.
func (m *Machine) sbomLists(ctx context.Context, img *oci.Image, manifestDigest string) ([]packages.List, error) {
	data, err := img.SBOM(ctx, manifestDigest)
	if err != nil || data == nil {
		return nil, err
	}
	lists, err := packages.ParseSBOM(data)
	if err != nil {
		return nil, fmt.Errorf("cannot read the SBOM of %s: %w", img.Reference, err)
	}
	return lists, nil
}

// listsOf returns the packages of a deployment: those in its SBOM, if the registry has one, since
// two of a kind compare best, or else those in its image.
func (m *Machine) listsOf(ctx context.Context, img *oci.Image, id deployment.ID) []packages.List {
	if o, err := m.readOrigin(id); err == nil && o.ManifestDigest != "" {
		if lists, err := m.sbomLists(ctx, img, o.ManifestDigest); err == nil && len(lists) > 0 {
			return lists
		}
	}
	tree, err := m.readPart(id, erofs.Paths(packages.Paths()...))
	if err != nil {
		return nil
	}
	lists, err := packages.Of(system.Of(tree, m.Repository).FS())
	if !hasPackages(lists, err) {
		return nil
	}
	return lists
}
