package records

import (
	"io/fs"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
)

// LoadChecked returns what a running system last learned of the image that it follows.
func LoadChecked(running fs.FS) (deployment.Checked, error) {
	return load(running, deployment.CheckedRecord, limits.Record, deployment.ParseChecked)
}

// StoreChecked records in a running system what it has learned. A reboot forgets it.
func StoreChecked(running durable.FS, c deployment.Checked) error {
	return storeInRun(running, deployment.CheckedRecord, c.Encode())
}
