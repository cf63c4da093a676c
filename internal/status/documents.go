package status

import "cmp"

// readImage fills in what manifest and configuration of the image say, as far as they
// are in the repository. bootc notes nothing of that in the origin. What cannot be read
// is for repo fsck to tell.
func (g *gatherer) readImage(d *Deployment) {
	if g.sys.Repository == nil || d.Origin.ManifestDigest == "" {
		return
	}
	about, _ := g.sys.Repository.About(d.Origin.ManifestDigest)
	d.Architecture = about.Architecture
	d.Origin.Version = cmp.Or(d.Origin.Version, about.Version)
	d.Origin.Created = cmp.Or(d.Origin.Created, about.Created)
}
