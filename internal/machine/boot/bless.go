package boot

import (
	"fmt"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bootentry"
)

// Bless makes the entry good that the loader has booted on trial, whatever tries it
// has left. systemd-bless-boot(8) does so only where the partition is mounted, and on
// FAT its rename may lose the entry in a power cut. Blessing again does nothing.
func (p *Partition) Bless(n bootentry.Name) error {
	files, err := p.Entries()
	if err != nil {
		return err
	}
	err = fmt.Errorf("%w %s on %s", ErrNoEntry, n.ID(), p)
	for _, f := range files {
		if f.Staged || f.Name.ID() != n.ID() {
			continue
		}
		if f.Foreign {
			err = fmt.Errorf("boot entry %s: %w", f.File, errForeign)
			continue
		}
		if err = nil; !f.Name.Counted {
			continue
		}
		good := bootentry.Name{Base: f.Name.Base}
		if err := p.commit(good.String(), f.raw, f.File); err != nil {
			return p.explain(err)
		}
	}
	return err
}
