package records

import (
	"errors"
	"io/fs"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
)

// LoadKernels returns the paths of the kernels that this machine has written to its boot
// partition.
func LoadKernels(root fs.FS) ([]string, error) { return loadLines(root, deployment.KernelsRecord) }

// StoreKernels makes paths the kernels that this machine has written.
func StoreKernels(changes durable.FS, paths []string) error {
	return storeLines(changes, deployment.KernelsRecord, paths)
}

// LoadEntries returns the names of the boot entries that this machine has written, without
// tries and suffix.
func LoadEntries(root fs.FS) ([]string, error) { return loadLines(root, deployment.EntriesRecord) }

// StoreEntries makes bases the names of the boot entries that this machine has written.
func StoreEntries(changes durable.FS, bases []string) error {
	return storeLines(changes, deployment.EntriesRecord, bases)
}

// loadLines reads a record that is a list, a line for each item.
func loadLines(root fs.FS, name string) ([]string, error) {
	return load(root, name, limits.Record, func(data []byte) ([]string, error) {
		return strings.FieldsFunc(string(data), func(r rune) bool { return r == '\n' }), nil
	})
}

func storeLines(changes durable.FS, name string, lines []string) error {
	// Before a kernel can be written, the directory has most often been made and synced.
	if _, err := changes.Lstat(deployment.StateDir); errors.Is(err, fs.ErrNotExist) {
		if err := durable.MkdirAll(changes, deployment.StateDir, 0o755); err != nil {
			return err
		}
	}
	text := ""
	for _, line := range lines {
		text += line + "\n"
	}
	return durable.WriteFile(changes, name, []byte(text))
}
