package machine

import (
	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/records"
)

// Ledger returns the machine's record of what it wrote to its boot partition.
func (s *System) Ledger() boot.Ledger { return records.Ledger{Root: s.Sysroot, Changes: s.Changes} }
