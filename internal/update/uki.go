package update

import (
	"context"
	"fmt"
	"io"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
)

// writeUKI writes the candidate's unified kernel image to the boot partition.
func (m *Machine) writeUKI(ctx context.Context, c candidate, superseded []deployment.ID) (digest string, err error) {
	err = c.withUKI(func(uki io.ReadSeeker, extras []boot.File) (err error) {
		digest, _, err = m.Boot.WriteUKI(ctx, c.id, uki, extras, superseded...)
		return err
	})
	return digest, err
}

// withUKI calls use with the candidate's unified kernel image and the addons to it.
func (c candidate) withUKI(use func(uki io.ReadSeeker, extras []boot.File) error) error {
	u := c.Kernel.UKI
	var extras []boot.File
	for _, e := range u.Extras {
		f, err := c.Open(e.Node)
		if err != nil {
			return fmt.Errorf("cannot read addon: %w", err)
		}
		defer f.Close()
		extras = append(extras, boot.File{Name: e.Name, Content: f})
	}
	f, err := c.Open(u.Node)
	if err != nil {
		return fmt.Errorf("cannot read unified kernel image: %w", err)
	}
	defer f.Close()
	return use(f, extras)
}
