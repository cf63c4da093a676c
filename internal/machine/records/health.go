package records

import (
	"io"
	"io/fs"
	"path"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
)

// LoadHealth returns what the checks of this boot have found, below the root of the running
// system.
func LoadHealth(running fs.FS) (deployment.Health, error) {
	return load(running, deployment.RunHealth, limits.Record, deployment.ParseHealth)
}

// StoreHealth makes h what the checks of this boot have found, for root alone, below the root
// of the running system.
func StoreHealth(running durable.FS, h deployment.Health) error {
	// A reboot empties /run: only other readers must not see half of it.
	running = durable.Unsynced(running)
	if err := durable.MkdirAll(running, path.Dir(deployment.RunHealth), 0o755); err != nil {
		return err
	}
	return durable.Write(running, deployment.RunHealth, secret, func(w io.Writer) error {
		_, err := w.Write(h.Encode())
		return err
	})
}
