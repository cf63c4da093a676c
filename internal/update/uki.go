package update

import (
	"context"
	"fmt"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
)

// writeUKI writes the candidate's unified kernel image to the boot partition.
func (m *Machine) writeUKI(ctx context.Context, c candidate, superseded []deployment.ID) (digest string, err error) {
	u := c.Kernel.UKI
	var extras []boot.File
	for _, e := range u.Extras {
		f, err := c.Open(e.Node)
		if err != nil {
			return "", fmt.Errorf("cannot read addon: %w", err)
		}
		defer f.Close()
		extras = append(extras, boot.File{Name: e.Name, Content: f})
	}
	f, err := c.Open(u.Node)
	if err != nil {
		return "", fmt.Errorf("cannot read unified kernel image: %w", err)
	}
	defer f.Close()
	digest, _, err = m.Boot.WriteUKI(ctx, c.id, f, extras, superseded...)
	return digest, err
}
