package update

import (
	"errors"
	"fmt"
	"os"

	"github.com/sysupdate-image/sysupdate-image/internal/machine"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/sysroot"
	prepareroot "github.com/sysupdate-image/sysupdate-image/prepare-root"
)

// ErrExtensions reports that systemd-sysext(8) has merged extensions over /usr, on which
// the kernel stacks no further layer.
var ErrExtensions = errors.New("system extensions are merged over /usr")

// A UsrOverlay says what OverlayUsr has found or done.
type UsrOverlay struct {
	Layer machine.UsrLayer // that is over /usr now
	// Before means that it was there before; for NoUsrLayer, that /usr can be written to
	// without one, since the whole root is in memory.
	Before bool
}

// OverlayUsr puts a layer over /usr of the running system, which keeps in memory what
// is written there until the next boot. If there is one already, it stays as it is.
func OverlayUsr(host machine.Host, readOnly bool, warn func(error)) (UsrOverlay, error) {
	_, mounts, err := sysroot.Booted(host.Root)
	if err != nil {
		return UsrOverlay{}, err
	}
	switch layer := machine.UsrLayerOf(mounts); {
	case layer == machine.UsrExtensions:
		return UsrOverlay{}, ErrExtensions
	case layer != machine.NoUsrLayer || machine.IsTransientRoot(mounts):
		return UsrOverlay{layer, true}, nil
	case os.Geteuid() != 0:
		return UsrOverlay{}, errors.New("cannot mount an overlay on /usr: must be run as root")
	}
	below := prepareroot.MountsBelow(mounts, "/usr")
	err = prepareroot.OverlayUsr("/usr", below, readOnly, func(text string) { warn(errors.New(text)) })
	if err != nil {
		return UsrOverlay{}, fmt.Errorf("cannot mount an overlay on /usr: %w", err)
	}
	if readOnly {
		return UsrOverlay{Layer: machine.UsrReadOnly}, nil
	}
	return UsrOverlay{Layer: machine.UsrWritable}, nil
}
