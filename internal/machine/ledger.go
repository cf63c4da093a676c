package machine

import (
	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/records"
)

// A ledger is a records.Ledger that makes its changes as the System does when they are made.
type ledger struct{ *System }

// Ledger returns the machine's record of what it wrote to its boot partition.
func (s *System) Ledger() boot.Ledger { return ledger{s} }

func (l ledger) now() records.Ledger { return records.Ledger{Root: l.Sysroot, Changes: l.Changes} }

func (l ledger) Kernels() ([]string, error)      { return l.now().Kernels() }
func (l ledger) SetKernels(paths []string) error { return l.now().SetKernels(paths) }
func (l ledger) SetEntries(bases []string) error { return l.now().SetEntries(bases) }
func (l ledger) Tag() string                     { return l.now().Tag() }
