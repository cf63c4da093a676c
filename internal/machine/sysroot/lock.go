package sysroot

import (
	"fmt"
	"os"

	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
)

// TryLock locks a physical root, until the file is closed, for a change of what boots
// or of the state of deployments. It returns nil if another has locked it.
func TryLock(root *os.Root) (*os.File, error) {
	dir, err := root.Open(".")
	if err != nil {
		return nil, fmt.Errorf("cannot lock the physical root: %w", err)
	}
	locked, err := sys.TryFlock(dir, true)
	if err != nil || !locked {
		dir.Close()
		return nil, err
	}
	return dir, nil
}
