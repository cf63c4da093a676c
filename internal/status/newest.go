package status

import (
	"cmp"
	"runtime"
	"slices"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/printable"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/records"
)

// A Newest is what the followed reference led to when it was last looked at.
type Newest struct {
	deployment.Checked
	Available bool // it is neither booted nor staged, and has not failed to boot here
}

// readChecked fills in what the last look at the followed reference found, if the machine still
// follows it.
func (g *gatherer) readChecked() {
	if g.sys.Running == nil {
		return
	}
	c, err := records.IfAny(records.LoadChecked(g.sys.Running))
	g.problem("what the last check found", err)
	if err != nil || c == nil || unsigned(c.Reference) != g.followed() {
		return
	}
	n := &Newest{Checked: *c, Available: true}
	for _, d := range g.byID {
		if d.Origin.ManifestDigest == c.ManifestDigest && (d.Booted || d.Staged || d.Next || d.State == Failed) {
			n.Available = false
		}
	}
	for _, failure := range g.m.Failures {
		if failure.Image == c.ManifestDigest {
			n.Available = false
		}
	}
	g.status.Newest = n
}

// followed returns the reference that the machine follows, with its transport.
func (g *gatherer) followed() string {
	ids := []deployment.ID{g.m.Current()}
	if g.m.Staged != nil {
		ids = slices.Insert(ids, 0, g.m.Staged.ID)
	}
	for _, id := range ids {
		if ref := g.m.Origins[id].ImageReference(); ref != "" {
			return ref
		}
	}
	return ""
}

// unsigned returns a reference without the demand that the image is signed.
func unsigned(ref string) string { return strings.TrimPrefix(ref, "ostree-image-signed:") }

// origin returns where a deployment of the image would come from.
func (n *Newest) origin() deployment.Origin {
	return deployment.Origin{Reference: unsigned(n.Reference), ManifestDigest: n.ManifestDigest, Version: n.Version, Created: n.Created}
}

// image returns the image in bootc's form.
func (n *Newest) image() *imageJSON {
	return &imageJSON{
		Image: reference(n.origin()), Version: pointer(n.Version), Timestamp: pointer(n.Created),
		ImageDigest: n.ManifestDigest, Architecture: cmp.Or(n.Architecture, runtime.GOARCH),
	}
}

func (n *Newest) json() *newestJSON {
	if n == nil {
		return nil
	}
	return &newestJSON{
		Time: n.Time, Image: reference(n.origin()), ImageDigest: n.ManifestDigest, Version: n.Version,
		Timestamp: n.Created, Available: n.Available, FetchBytes: n.FetchBytes,
	}
}

// text tells people whether there is an update, as of when.
func (n *Newest) text() string {
	checked := ""
	if t := when(n.Time); t != "" {
		checked = " (checked " + t + ")"
	}
	if !n.Available {
		return "none" + checked
	}
	name := shortDigest(n.ManifestDigest)
	if version := printable.Title(n.Version); version != "" {
		name = "version " + version
	}
	fetch := "nothing to fetch"
	if n.FetchBytes > 0 {
		fetch = size(n.FetchBytes) + " to fetch"
	}
	return name + " is available, " + fetch + checked
}
