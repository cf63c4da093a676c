package update

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/boot"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs"
	"github.com/sysupdate-image/sysupdate-image/internal/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/durable"
	"github.com/sysupdate-image/sysupdate-image/internal/etcmerge"
	"github.com/sysupdate-image/sysupdate-image/internal/rootconfig"
	"github.com/sysupdate-image/sysupdate-image/internal/systemd"
)

// A candidate is a system that is about to become a deployment.
type candidate struct {
	*System
	id      deployment.ID
	origin  deployment.Origin
	options string // kernel command line
}

// writeDeployment writes all that a deployment needs to boot, under names that
// no boot looks at yet: kernel and initramfs, its state directory, and its boot
// entry. It returns the name of the entry. It may be repeated. What was staged
// before is dropped last, when there is nothing left that is likely to fail.
func (m *Machine) writeDeployment(ctx context.Context, c candidate) (entry string, err error) {
	kernel, err := m.makeKernel(ctx, c)
	if err != nil {
		return "", err
	}
	c.origin.BootType, c.origin.BootDigest, c.origin.Kernel = deployment.BootBLS, kernel, c.Kernel.Version
	if err := m.writeState(c); err != nil {
		return "", fmt.Errorf("cannot write state of deployment: %w", err)
	}
	if _, err := m.unstage(); err != nil {
		return "", err
	}
	return m.boot.StageEntry(boot.NewEntry(c.Name, c.Version, kernel, c.options))
}

// makeKernel writes kernel and initramfs of the candidate. If need be it gives
// up for them what is superseded, and then what is staged, which the candidate
// will replace.
func (m *Machine) makeKernel(ctx context.Context, c candidate) (digest string, err error) {
	digest, err = m.writeKernel(ctx, c)
	var full *boot.NoRoomError
	if !errors.As(err, &full) {
		return digest, err
	}
	dropped, dropErr := m.unstage()
	if dropped == "" || dropErr != nil {
		return "", errors.Join(err, dropErr)
	}
	return m.writeKernel(ctx, c)
}

func (m *Machine) writeKernel(ctx context.Context, c candidate) (digest string, err error) {
	superseded, err := m.superseded()
	if err != nil {
		return "", err
	}
	linux, err := c.open(c.Kernel.Linux)
	if err != nil {
		return "", fmt.Errorf("cannot read kernel: %w", err)
	}
	defer linux.Close()
	initrd, err := c.open(c.Kernel.Initrd)
	if err != nil {
		return "", fmt.Errorf("cannot read initramfs: %w", err)
	}
	defer initrd.Close()
	digest, _, err = m.boot.WriteKernel(ctx, linux, initrd, superseded...)
	return digest, err
}

// writeState makes the state directory of a deployment.
func (m *Machine) writeState(c candidate) error {
	id, changes := c.id, durable.OS(m.root)
	if err := m.fillVar(c); err != nil {
		return err
	}
	for _, dir := range []string{id.EtcDir(), deployment.SharedVar} {
		if err := durable.MkdirAll(changes, dir, 0o755); err != nil {
			return err
		}
	}
	// bootc mounts this link; it is the same for every deployment.
	shared := strings.Repeat("../", strings.Count(deployment.DeployDir, "/")+1) + deployment.SharedVar
	if err := durable.Symlink(changes, "../"+shared, id.Var()); err != nil {
		return err
	}
	return durable.WriteFile(changes, id.OriginFile(), c.origin.Encode())
}

// fillVar gives a machine whose image has /var bound, as bootc has it, what the
// image has there, before its first deployment. An overlay has it anyway.
func (m *Machine) fillVar(c candidate) error {
	if c.Mounts.Var != rootconfig.Bind {
		return nil
	}
	if _, err := m.root.Lstat(deployment.SharedVar); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := durable.MkdirAll(durable.OS(m.root), path.Dir(deployment.SharedVar), 0o755); err != nil {
		return err
	}
	open := func(n *composefs.Node) (io.ReadCloser, error) { return c.open(n) }
	return etcmerge.WriteDir(m.root, deployment.SharedVar, c.Tree.Entry("var"), open)
}

// stage records that finalize is to publish the entry when the machine goes
// down, and has systemd call it then. The record is what survives a crash: once
// it is written, the next boot finds the work.
func (m *Machine) stage(ctx context.Context, c candidate, entry string) error {
	record := deployment.Staged{ID: c.id, Entry: entry, BootID: bootID(), Etc: string(c.Mounts.Etc)}
	if err := m.repo.Sync(); err != nil { // one file system with the state
		return err
	}
	changes := durable.OS(m.root)
	if err := durable.MkdirAll(changes, deployment.StateDir, 0o755); err != nil {
		return err
	}
	if err := durable.WriteFile(changes, deployment.StagedRecord, record.Encode()); err != nil {
		return fmt.Errorf("cannot record the staged deployment: %w", err)
	}
	if err := writeRunRecord(record); err != nil {
		return err
	}
	// It is staged: an interrupt comes too late to leave this undone.
	ctx = context.WithoutCancel(ctx)
	if err := systemd.StartUnit(ctx, "sysupdate-image-finalize.service"); err != nil {
		return fmt.Errorf("deployment is staged, but does not take over at the next reboot, only at the one after: %w", err)
	}
	return nil
}

// writeRunRecord writes the record that bootc reads, which is gone after a
// reboot.
func writeRunRecord(record deployment.Staged) error {
	root, err := os.OpenRoot("/")
	if err != nil {
		return err
	}
	defer root.Close()
	changes := durable.OS(root)
	if err := durable.MkdirAll(changes, "run/composefs", 0o755); err != nil {
		return err
	}
	return durable.WriteFile(changes, deployment.RunStaged, record.Encode())
}

// unstage forgets the staged deployment, if there is one, and returns it.
func (m *Machine) unstage() (deployment.ID, error) {
	record, err := m.staged()
	if err != nil || record == nil {
		return "", err
	}
	if err := m.boot.Unstage(); err != nil {
		return "", err
	}
	if err := durable.Remove(durable.OS(m.root), deployment.StagedRecord); err != nil {
		return "", fmt.Errorf("cannot drop the staged deployment: %w", err)
	}
	if m.booted != "" {
		if err := os.Remove("/" + deployment.RunStaged); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("cannot drop the staged deployment: %w", err)
		}
	}
	return record.ID, nil
}

// staged returns the staged record, nil if there is none.
func (m *Machine) staged() (*deployment.Staged, error) {
	data, err := m.root.ReadFile(deployment.StagedRecord)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the staged record: %w", err)
	}
	record, err := deployment.ParseStaged(data)
	if err != nil {
		return nil, err
	}
	return &record, nil
}

// bootID returns the kernel's name for this boot, "" if it does not tell.
func bootID() string {
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}
