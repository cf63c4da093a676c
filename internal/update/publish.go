package update

import (
	"context"
	"errors"
	"fmt"
	"runtime"

	"github.com/sysupdate-image/sysupdate-image/internal/etc/carry"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/image/system"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/loader"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/records"
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
	side := carry.Side{ID: c.id, Etc: deployment.EtcMode(c.Mounts.Etc)}
	if err := m.takeOver(ctx, side, c.Tree, c.former); err != nil {
		return err
	}
	if err := m.addEtc(ctx, side, c.etc); err != nil {
		return err
	}
	// All that the deployment needs on the root file system; StageEntry has synced
	// the boot partition.
	if err := durable.Syncfs(m.Changes); err != nil {
		return err
	}
	return m.publishOnly(c.id, entry)
}

// PrepareLoader has the boot entries of a new machine written as a kind of boot loader needs
// them.
func (m *Machine) PrepareLoader(kind string) error { return loader.Loader{Kind: kind}.Prepare(m.Boot) }

// InstallLoader puts the boot loader of a deployment's image on the EFI system partition, which
// may be the boot partition, and records it. With bios, the caller has a BIOS start it, too. It
// returns the loader.
func (m *Machine) InstallLoader(id deployment.ID, kind string, esp *boot.Partition, bios bool) (loader.Loader, error) {
	tree, err := m.readImage(id)
	if err != nil {
		return loader.Loader{}, err
	}
	l, err := loader.Find(kind, system.Of(tree, m.Repository).OpenPath, runtime.GOARCH)
	if err != nil {
		return l, fmt.Errorf("cannot install boot loader: %w", err)
	}
	was, err := records.LoadLoader(m.Sysroot)
	if err != nil {
		was = deployment.Loader{} // of a new machine there is none
	}
	record, err := l.Install(esp, m.Boot, was)
	if fallback, ok := errors.AsType[*loader.FallbackError](err); ok {
		m.warn(fallback)
	} else if err != nil {
		return l, err
	}
	if bios && l.GRUB != nil {
		record.BIOS = l.GRUB.BIOS
	}
	return l, records.StoreLoader(m.Changes, record)
}
