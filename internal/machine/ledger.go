package machine

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"

	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/records"
)

// A ledger is the machine's record of its kernels and boot entries: see boot.Ledger.
type ledger struct{ *System }

// Ledger returns the machine's record of what it wrote to its boot partition.
func (s *System) Ledger() boot.Ledger { return ledger{s} }

func (l ledger) Kernels() ([]string, error) {
	paths, err := records.LoadKernels(l.Sysroot)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("cannot read the record of kernels: %w", err)
	}
	return paths, nil
}

func (l ledger) SetKernels(paths []string) error { return records.StoreKernels(l.Changes, paths) }

func (l ledger) SetEntries(bases []string) error { return records.StoreEntries(l.Changes, bases) }

// Tag returns six random hexadecimal digits: with them the name of an entry takes as many
// slots of a FAT directory as without.
func (l ledger) Tag() string {
	var random [3]byte
	rand.Read(random[:])
	return hex.EncodeToString(random[:])
}
