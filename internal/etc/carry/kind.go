package carry

import (
	"errors"
	"io/fs"
	"os"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/mountplan"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
)

// Mounted returns how the running system has its /etc, by its mount table. What
// counts is the lowest mount there, which prepare-root has made: what lies over it,
// such as extensions, comes and goes, and local changes are not kept there.
func Mounted(mounts []mountplan.Mounted) deployment.EtcMode {
	m, ok := mountplan.Lowest(mounts, "/etc")
	switch {
	case !ok || m.What == confext: // over the image's own /etc
		return deployment.EtcNone
	case m.What == "transient" || m.Type == "tmpfs":
		return deployment.EtcTransient
	case m.Type == "overlay":
		return deployment.EtcOverlay
	}
	return deployment.EtcBind
}

// confext is the source of the overlay that systemd-confext(8) mounts.
const confext = "confext"

// OnDisk returns how a deployment that does not run has its /etc, by what its
// state directory holds: overlay if it has an upper directory or nothing at
// all, bind if there are files of another kind.
func OnDisk(sysroot *os.Root, id deployment.ID) (deployment.EtcMode, error) {
	_, err := sysroot.Lstat(id.EtcUpper())
	if found, err := bounded.Found(err); err != nil {
		return "", err
	} else if found {
		return deployment.EtcOverlay, nil
	}
	list, err := durable.Names(sysroot, id.EtcDir())
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(list) == 0 {
		return deployment.EtcOverlay, nil
	}
	return deployment.EtcBind, err
}
