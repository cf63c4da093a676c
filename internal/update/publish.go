package update

import (
	"fmt"

	"github.com/sysupdate-image/sysupdate-image/internal/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/durable"
	"github.com/sysupdate-image/sysupdate-image/internal/etccarry"
)

// publish makes a deployment the next on a machine that does not run: at once,
// what finalize does when a running machine goes down.
func (m *Machine) publish(id deployment.ID, entry string) error {
	current, err := m.current()
	if err != nil {
		return err
	}
	if current != "" && current != id {
		if err := m.carryEtc(current, id); err != nil {
			return err
		}
	}
	if err := durable.Syncfs(durable.OS(m.root)); err != nil {
		return err
	}
	return m.boot.Publish(entry)
}

// carryEtc gives a deployment the local changes to /etc of the one before it.
func (m *Machine) carryEtc(from, to deployment.ID) error {
	kind, err := etccarry.OnDisk(m.root, from)
	if err != nil {
		return fmt.Errorf("cannot tell how deployment %s has its /etc: %w", from.Short(), err)
	}
	c := etccarry.Carrier{Sysroot: m.root, OpenObject: m.repo.OpenObject, Warn: m.warn}
	_, err = c.Carry(etccarry.Side{ID: from, Etc: kind}, etccarry.Side{ID: to, Etc: deployment.EtcOverlay})
	return err
}

// InstallLoader puts the boot loader of a deployment's image on the boot
// partition, which is the EFI system partition.
func (m *Machine) InstallLoader(id deployment.ID) error {
	tree, err := m.readImage(id)
	if err != nil {
		return err
	}
	image := System{Tree: tree, repo: m.repo}
	return m.boot.InstallLoader(image.openPath)
}
