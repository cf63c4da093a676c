package records

import (
	"io/fs"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
)

// LoadESPs returns the EFI system partitions that are kept equal.
func LoadESPs(root fs.FS) (deployment.ESPs, error) {
	return load(root, deployment.ESPsRecord, limits.Record, deployment.ParseESPs)
}

// StoreESPs records the EFI system partitions that are kept equal.
func StoreESPs(changes durable.FS, e deployment.ESPs) error {
	if err := durable.MkdirAll(changes, deployment.StateDir, 0o755); err != nil {
		return err
	}
	return durable.WriteFile(changes, deployment.ESPsRecord, e.Encode())
}

// DropESPs removes the record, if there is one: nothing is kept equal any more.
func DropESPs(changes durable.FS) error { return durable.Remove(changes, deployment.ESPsRecord) }
