package records

import (
	"errors"
	"io/fs"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
)

// LoadProtect reports whether fs-verity is to be enabled at the next boot.
func LoadProtect(root fs.FS) (bool, error) {
	_, err := fs.Stat(root, deployment.ProtectRecord)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// StoreProtect records that fs-verity is to be enabled at the next boot.
func StoreProtect(changes durable.FS) error {
	const note = "fs-verity is to be enabled at the next boot: see sysupdate-image-records(5).\n"
	return durable.WriteFile(changes, deployment.ProtectRecord, []byte(note))
}

// DropProtect forgets StoreProtect.
func DropProtect(changes durable.FS) error { return durable.Remove(changes, deployment.ProtectRecord) }
