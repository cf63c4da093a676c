package update

import (
	"context"

	"github.com/sysupdate-image/sysupdate-image/internal/etc/carry"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/image/system"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
)

// publish makes a deployment the next on a machine that does not run: at once,
// what finalize does when a running machine goes down.
func (m *Machine) publish(ctx context.Context, c candidate, entry string) error {
	current, err := m.current()
	if err != nil {
		return err
	}
	if current != c.id {
		if err := m.carryEtc(ctx, c); err != nil {
			return err
		}
	}
	if err := m.addEtc(ctx, carry.Side{ID: c.id, Etc: deployment.EtcMode(c.Mounts.Etc)}, c.etc); err != nil {
		return err
	}
	// All that the deployment needs on the root file system; StageEntry has synced
	// the boot partition.
	if err := durable.Syncfs(m.Changes); err != nil {
		return err
	}
	return m.publishEntry(c.id, entry)
}

// InstallLoader puts the boot loader of a deployment's image on the boot
// partition, which is the EFI system partition.
func (m *Machine) InstallLoader(id deployment.ID) error { return m.InstallLoaderOn(id, m.Boot) }

// InstallLoaderOn is InstallLoader for an EFI system partition beside the boot partition.
func (m *Machine) InstallLoaderOn(id deployment.ID, p *boot.Partition) error {
	tree, err := m.readImage(id)
	if err != nil {
		return err
	}
	image := system.Of(tree, m.Repository)
	return p.InstallLoader(image.OpenPath)
}
