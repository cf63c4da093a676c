package records

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"

	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
)

// A Ledger is the machine's record of its kernels and boot entries: see boot.Ledger.
type Ledger struct {
	Root    fs.FS      // physical root
	Changes durable.FS // the same, to change it
}

// Kernels returns the paths of the kernels that the machine has written.
func (l Ledger) Kernels() ([]string, error) {
	paths, err := LoadKernels(l.Root)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("cannot read the record of kernels: %w", err)
	}
	return paths, nil
}

// SetKernels makes paths the kernels that the machine has written.
func (l Ledger) SetKernels(paths []string) error { return StoreKernels(l.Changes, paths) }

// SetEntries makes bases the names of the boot entries that the machine has written.
func (l Ledger) SetEntries(bases []string) error { return StoreEntries(l.Changes, bases) }

// Tag returns six random hexadecimal digits: with them the name of an entry takes as many
// slots of a FAT directory as without.
func (Ledger) Tag() string {
	var random [3]byte
	rand.Read(random[:])
	return hex.EncodeToString(random[:])
}
