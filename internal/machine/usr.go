package machine

import (
	"slices"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/mountplan"
)

// A UsrLayer is what lies over the image's /usr.
type UsrLayer string

// The layers.
const (
	NoUsrLayer    UsrLayer = ""
	UsrWritable   UsrLayer = "writable"   // a layer that can be written to
	UsrReadOnly   UsrLayer = "read-only"  // one that only a mount namespace of its own can write to
	UsrExtensions UsrLayer = "extensions" // system extensions, see systemd-sysext(8)
)

// UsrLayerOf returns the layer over /usr of the running system with a mount table. Where
// /usr itself is a mount point, as prepare-root makes it for a line in fstab(5), the
// image is mounted there, and that is no layer.
func UsrLayerOf(mounts []mountplan.Mounted) UsrLayer {
	usr, _ := mountplan.At(mounts, "/usr")
	_, image := deployment.FromMountSource(usr.What)
	switch {
	case usr.Type != "overlay" || image:
		return NoUsrLayer
	case usr.What == "sysext":
		return UsrExtensions
	case slices.Contains(usr.Options, "ro") || slices.Contains(usr.SuperOptions, "ro"):
		return UsrReadOnly
	}
	return UsrWritable
}

// IsTransientRoot reports whether all of the running system's root, with /usr, can be
// written to until the next boot.
func IsTransientRoot(mounts []mountplan.Mounted) bool {
	root, _ := mountplan.At(mounts, "/")
	_, image := deployment.FromMountSource(root.What)
	return image && !slices.Contains(root.Options, "ro") && !slices.Contains(root.SuperOptions, "ro")
}
