package update

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/sysupdate-image/sysupdate-image/internal/machine/records"
)

// A ledger is the machine's record of its kernels: see boot.Ledger.
type ledger struct{ *Machine }

func (l ledger) Kernels() ([]string, error) {
	paths, err := records.LoadKernels(l.root.FS())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("cannot read the record of kernels: %w", err)
	}
	return paths, nil
}

func (l ledger) SetKernels(paths []string) error { return records.StoreKernels(l.changes, paths) }
