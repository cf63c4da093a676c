package device

import (
	"context"
	"errors"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/install/tools"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
)

// udevControl is there while udev runs.
const udevControl = "run/udev/control"

// Settle waits until udev has seen what changed: it reads the partition table of a disk again
// that was written to, and for a moment there are no partitions then.
func (d *Disk) Settle(ctx context.Context) {
	if _, err := d.host.Lstat(udevControl); err == nil && d.IsBlock() {
		_ = tools.Command{Name: "udevadm", Args: []string{"settle", "--timeout=10"}}.Run(ctx)
	}
}

// ErrLocked says that another program keeps its lock on a disk.
var ErrLocked = errors.New("another program has locked the disk")

// Lock keeps udev and others away from the disk until it is closed, as
// systemd.io/BLOCK_DEVICE_LOCKING describes it.
func (d *Disk) Lock(ctx context.Context) error {
	for end := time.Now().Add(nodeTime); ; {
		locked, err := sys.TryFlock(d.file, true)
		if locked || err != nil {
			return err
		}
		if time.Now().After(end) {
			return ErrLocked
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
