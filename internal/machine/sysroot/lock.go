package sysroot

import (
	"errors"
	"fmt"
	"os"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
)

// TryLock locks a physical root, until the file is closed, for a change of what boots
// or of the state of deployments. It returns nil if another has locked it. The lock is that
// of a file, since any user can open the directory, and so could hold up every update.
func TryLock(root *os.Root) (*os.File, error) {
	file, err := openLock(root)
	if err != nil {
		return nil, fmt.Errorf("cannot lock the physical root: %w", asRoot(err))
	}
	locked, err := sys.TryFlock(file, true)
	if err != nil || !locked {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// openLock opens the file that is locked, and makes it first if it is missing. After a crash
// it is made again.
func openLock(root *os.Root) (*os.File, error) {
	if err := durable.MkdirAll(durable.Unsynced(durable.OS(root)), deployment.StateDir, 0o755); err != nil {
		return nil, err
	}
	return root.OpenFile(deployment.LockFile, os.O_RDWR|os.O_CREATE, 0o600)
}
