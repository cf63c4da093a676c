package records

import (
	"io/fs"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
)

// LoadLoader returns the boot loader that was installed with the machine.
func LoadLoader(root fs.FS) (deployment.Loader, error) {
	return load(root, deployment.LoaderRecord, limits.Record, deployment.ParseLoader)
}

// StoreLoader records the boot loader.
func StoreLoader(changes durable.FS, l deployment.Loader) error {
	if err := durable.MkdirAll(changes, deployment.StateDir, 0o755); err != nil {
		return err
	}
	return durable.WriteFile(changes, deployment.LoaderRecord, l.Encode())
}
