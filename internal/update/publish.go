package update

import (
	"fmt"

	"github.com/sysupdate-image/sysupdate-image/internal/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/durable"
	"github.com/sysupdate-image/sysupdate-image/internal/etccarry"
)

// publish makes a deployment the next on a machine that does not run: at once,
// what finalize does when a running machine goes down.
func (m *Machine) publish(c candidate, entry string) error {
	current, err := m.current()
	if err != nil {
		return err
	}
	if current != c.id {
		if err := m.carryEtc(current, c); err != nil {
			return err
		}
	}
	if err := durable.Syncfs(durable.OS(m.root)); err != nil {
		return err
	}
	return m.boot.Publish(entry)
}

// carryEtc gives a deployment the local changes to /etc of the one before it,
// which is "" for the first.
func (m *Machine) carryEtc(before deployment.ID, c candidate) error {
	from := etccarry.Side{ID: before, Etc: deployment.EtcNone}
	to := etccarry.Side{ID: c.id, Etc: string(c.Mounts.Etc)}
	if before != "" {
		var err error
		if from.Etc, err = etccarry.OnDisk(m.root, before); err != nil {
			return fmt.Errorf("cannot tell how deployment %s has its /etc: %w", before.Short(), err)
		}
	}
	if !to.HasLocal() || to.Etc == deployment.EtcOverlay && !from.HasLocal() {
		return nil // it would not see what is written, or begins with nothing
	}
	carrier := etccarry.Carrier{Sysroot: m.root, OpenObject: m.repo.OpenObject, Warn: m.warn}
	_, err := carrier.Carry(from, to)
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
