package update

import (
	"context"

	"github.com/sysupdate-image/sysupdate-image/internal/linux/systemd"
)

// Reboot asks the running machine to reboot.
func Reboot(ctx context.Context) error { return systemd.Reboot(ctx) }
