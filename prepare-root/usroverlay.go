package prepareroot

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/mountplan"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
)

// usrOverlayDir is where UsrOverlayPlan puts the overlay before it is over /usr.
const usrOverlayDir = buildDir + "/usr"

// UsrOverlayPlan returns the mounts that put a layer in memory over the directory usr of a
// running system. With readOnly the mount cannot be written to, but a mount namespace can
// remount its own copy of it writable.
func UsrOverlayPlan(usr string, readOnly bool) mountplan.Plan {
	p := transient("usr", "transient", usr, usrOverlayDir)
	if readOnly {
		overlay := &p[len(p)-1]
		overlay.Options = append([]string{optReadOnly}, overlay.Options...)
	}
	return append(p, mountplan.Mount{What: usrOverlayDir, Where: usr, Options: []string{optMove}})
}

// OverlayUsr carries out UsrOverlayPlan. The mounts at the places below stay visible: they
// are made once more on the layer. If it returns an error, nothing is over usr.
func OverlayUsr(usr string, below []string, readOnly bool, warn func(string)) error {
	k, err := ProbeKernel()
	if err != nil {
		return err
	}
	return overlayUsr(usr, below, readOnly, k, warn)
}

func overlayUsr(usr string, below []string, readOnly bool, k Kernel, warn func(string)) error {
	kept, err := cloneAll(below)
	defer closeAll(kept)
	if err != nil {
		return err
	}
	if err := Apply(UsrOverlayPlan(usr, readOnly), usr, k, warn); err != nil {
		return err
	}
	for _, mount := range kept {
		if err := attachAt(mount, mount.Name()); err != nil {
			return errors.Join(err, sys.Unmount(usr))
		}
	}
	return nil
}

// cloneAll returns copies of the mounts at some places, which are attached nowhere.
func cloneAll(places []string) (mounts []*os.File, err error) {
	for _, place := range places {
		dir, err := os.Open(place)
		if err != nil {
			return mounts, err
		}
		mount, err := clone(dir)
		dir.Close()
		if err != nil {
			return mounts, err
		}
		mounts = append(mounts, mount)
	}
	return mounts, nil
}

func closeAll(files []*os.File) {
	for _, f := range files {
		f.Close()
	}
}

func attachAt(mount *os.File, where string) error {
	at, err := os.Open(where)
	if err != nil {
		return fmt.Errorf("cannot keep the mount at %s: %w", where, err)
	}
	defer at.Close()
	return sys.Attach(mount, at, "")
}

// MountsBelow returns the places below dir where something is mounted and seen, in the
// order of the mount table.
func MountsBelow(mounts []mountplan.Mounted, dir string) (places []string) {
	for _, m := range mounts {
		if strings.HasPrefix(m.Where, dir+"/") {
			places = append(places, m.Where)
		}
	}
	return places
}
