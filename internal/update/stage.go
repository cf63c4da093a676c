package update

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/etc/carry"
	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/image/system"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/systemd"
	"github.com/sysupdate-image/sysupdate-image/internal/machine"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/records"
)

// A candidate is a system that is about to become a deployment.
type candidate struct {
	*system.System
	id      deployment.ID
	origin  deployment.Origin
	target  deployment.Target // what the kernel command line names
	options string            // kernel command line
	policy  deployment.ConflictPolicy
	dtb     deviceTree
	etc     []carry.File // that are added to local changes
	former  *Former
	locked  bool // once it is staged
}

// writeDeployment writes all that a deployment needs to boot, under names that
// no boot looks at yet: kernel and initramfs, its state directory, and its boot
// entry. It returns the name of the entry. It may be repeated. What was staged
// before stays until the caller has the new one in its place: a power cut loses
// neither.
func (m *Machine) writeDeployment(ctx context.Context, c candidate) (entry string, err error) {
	current, before, err := m.entryBefore()
	if err != nil {
		return "", err
	}
	if c.dtb, err = m.deviceTree(ctx, c, current, before); err != nil {
		return "", err
	}
	kernel, err := m.makeKernel(ctx, c)
	if err != nil {
		return "", err
	}
	c.origin.BootType, c.origin.BootDigest, c.origin.Kernel = deployment.BootBLS, kernel, c.Kernel.Version
	e := boot.NewEntry(c.Name, c.Version, m.Boot.KernelDir(kernel), c.options)
	if u := c.Kernel.UKI; u != nil {
		c.origin.BootType, c.origin.BootDigest, c.origin.Options = deployment.BootUKI, u.BootDigest, c.options
		e = boot.NewUKIEntry(c.Name, c.Version, kernel, c.id)
	}
	if e, err = m.inherit(e, before, c.dtb.path(m.Boot.KernelDir(kernel))); err != nil {
		return "", err
	}
	if err := m.writeState(ctx, c); err != nil {
		return "", fmt.Errorf("cannot write state of deployment: %w", err)
	}
	return m.Boot.StageEntry(e)
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
		return "", errors.Join(m.adviseRoom(err), dropErr)
	}
	if digest, err = m.writeKernel(ctx, c); errors.As(err, &full) {
		err = m.adviseRoom(err)
	}
	return digest, err
}

// A SupersededError reports that the boot partition has no room beside a deployment that
// is kept to roll back to.
type SupersededError struct {
	ID  deployment.ID
	Err error
}

func (e *SupersededError) Error() string {
	return fmt.Sprintf("%v; deployment %s is kept to roll back to", e.Err, e.ID.Short())
}

func (e *SupersededError) Unwrap() error { return e.Err }

// adviseRoom returns err as a *SupersededError if removing a deployment would make room
// on the boot partition.
func (m *Machine) adviseRoom(err error) error {
	s, stateErr := m.readState()
	if stateErr != nil {
		return errors.Join(err, stateErr)
	}
	if id := s.Superseded(); id != "" && s.Held(id) == machine.NotHeld {
		return &SupersededError{id, err}
	}
	return err
}

func (m *Machine) writeKernel(ctx context.Context, c candidate) (digest string, err error) {
	s, err := m.readState()
	if err != nil {
		return "", err
	}
	superseded := s.MakeRoom(0)
	if c.Kernel.UKI != nil {
		return m.writeUKI(ctx, c, superseded)
	}
	err = c.withKernel(func(linux, initrd io.ReadSeeker, further []boot.File) (err error) {
		if further == nil {
			digest, _, err = m.Boot.WriteKernel(ctx, linux, initrd, superseded...)
		} else {
			digest, _, err = m.Boot.WriteKernelWith(ctx, linux, initrd, further, superseded...)
		}
		return err
	})
	return digest, err
}

// withKernel calls use with what is in the candidate's kernel directory: two files, and a
// device tree if it comes with one.
func (c candidate) withKernel(use func(linux, initrd io.ReadSeeker, further []boot.File) error) error {
	linux, err := c.Open(c.Kernel.Linux)
	if err != nil {
		return fmt.Errorf("cannot read kernel: %w", err)
	}
	defer linux.Close()
	initrd, err := c.Open(c.Kernel.Initrd)
	if err != nil {
		return fmt.Errorf("cannot read initramfs: %w", err)
	}
	defer initrd.Close()
	if c.dtb.node == nil {
		return use(linux, initrd, nil)
	}
	dtb, err := c.Open(c.dtb.node)
	if err != nil {
		return fmt.Errorf("cannot read device tree: %w", err)
	}
	defer dtb.Close()
	return use(linux, initrd, []boot.File{{Name: deviceTrees + "/" + c.dtb.name, Content: dtb}})
}

// writeState makes the state directory of a deployment, which survives a crash
// after the sync that comes before the deployment is staged or published. Only
// an origin that replaces another is synced by itself.
func (m *Machine) writeState(ctx context.Context, c candidate) error {
	id, changes := c.id, m.Changes
	if err := m.makeState(ctx, c); err != nil {
		return err
	}
	if _, err := m.Root.Lstat(id.OriginFile()); errors.Is(err, fs.ErrNotExist) {
		changes = durable.Unsynced(changes)
	}
	return records.StoreOrigin(changes, id, c.origin)
}

// makeState makes what writeState makes but the origin.
func (m *Machine) makeState(ctx context.Context, c candidate) error {
	if err := m.makeVar(ctx, c); err != nil {
		return err
	}
	if err := durable.MkdirAll(durable.Unsynced(m.Changes), c.id.EtcDir(), 0o755); err != nil {
		return err
	}
	return durable.Symlink(durable.Unsynced(m.Changes), deployment.VarTarget, c.id.Var())
}

// stage records that finalize is to publish the entry when the machine goes
// down, and has systemd call it then. The record is what survives a crash: once
// it is written, the next boot finds the work.
func (m *Machine) stage(ctx context.Context, c candidate, entry string) error {
	record := deployment.Staged{
		ID: c.id, Entry: entry, BootID: bootID(), Etc: deployment.EtcMode(c.Mounts.Etc), EtcConflicts: c.policy,
		FinalizationLocked: c.locked,
	}
	// Images, layers and state are on one file system. Once the record is there,
	// finalize relies on all of it, whatever happens until then.
	if err := durable.Syncfs(m.Changes); err != nil {
		return err
	}
	if err := m.replaceStaged(record); err != nil || c.locked {
		return err
	}
	if !m.Boot.Counts() {
		m.warn(errors.New("the boot loader does not count boots, only the initramfs does: if the new kernel does not get that far, choose another entry in the loader's menu"))
	}
	return arm(ctx)
}

// armStaged has systemd finalize what is staged on the running machine, if
// something is. Where that is settled already, it changes nothing.
func (m *Machine) armStaged(ctx context.Context) error {
	record, err := m.staged()
	if err != nil || record == nil || record.FinalizationLocked || m.Booted == "" {
		return err
	}
	return arm(ctx)
}

// arm has systemd call finalize when the machine goes down.
func arm(ctx context.Context) error {
	// It is staged: an interrupt comes too late to leave this undone.
	ctx = context.WithoutCancel(ctx)
	if err := systemd.StartUnit(ctx, "sysupdate-image-finalize.service"); err != nil {
		return fmt.Errorf("staged, but finalize could not be scheduled: the update takes effect one reboot late: %w", err)
	}
	return nil
}

// writeRecord writes the staged record, on the running machine in both places.
func (m *Machine) writeRecord(record deployment.Staged) error {
	if err := records.StoreStaged(m.Changes, record); err != nil {
		return fmt.Errorf("cannot record the staged deployment: %w", err)
	}
	if m.Booted == "" { // /run is that of another machine
		return nil
	}
	return records.StoreRunStaged(durable.OS(m.Host), record)
}

// replaceStaged makes the record that of what is staged, whose entry is there, and then drops
// the entry of what was staged before.
func (m *Machine) replaceStaged(record deployment.Staged) error {
	if err := m.forgetSoftReboot(); err != nil {
		return err
	}
	if _, err := m.Root.Lstat(deployment.OverdueRecord); !errors.Is(err, fs.ErrNotExist) {
		if err := durable.Remove(m.Changes, deployment.OverdueRecord); err != nil {
			return err
		}
	}
	if err := m.writeRecord(record); err != nil {
		return err
	}
	return m.Boot.KeepStaged(record.Entry)
}

// unstage forgets the staged deployment, if there is one, and returns it. First
// the record goes: without it, an entry that is still there is garbage, while a
// record without its entry would make each shutdown fail.
func (m *Machine) unstage() (deployment.ID, error) { return m.unstageFor("") }

// unstageFor is unstage, but keeps the staged entry with a name, which is about to be published.
func (m *Machine) unstageFor(entry string) (deployment.ID, error) {
	if _, err := m.Root.Lstat(deployment.StagedRecord); errors.Is(err, fs.ErrNotExist) {
		return m.unstageBootcs()
	}
	record, err := m.staged()
	if err != nil {
		return "", err
	}
	err = records.DropStaged(m.Changes)
	if err == nil && m.Booted != "" {
		err = errors.Join(records.DropRunStaged(m.Host), records.DropSoftReboot(m.Host))
	}
	if err != nil {
		return "", fmt.Errorf("cannot drop the staged deployment: %w", err)
	}
	if m.Boot != nil {
		if err := m.Boot.KeepStaged(entry); err != nil {
			return "", err
		}
	}
	if record == nil {
		return "", nil
	}
	return record.ID, nil
}

// unstageBootcs forgets what bootc has staged, which only the record in /run tells of.
func (m *Machine) unstageBootcs() (deployment.ID, error) {
	s, err := m.readState()
	if err != nil || s.Staged == nil || m.Booted == "" {
		return "", err
	}
	return s.Staged.ID, records.DropRunStaged(m.Host)
}

// staged returns the staged record, nil if there is none. An invalid
// one stages nothing, and must not keep an administrator from anything else.
func (m *Machine) staged() (*deployment.Staged, error) {
	record, err := records.IfAny(records.LoadStaged(m.Root.FS()))
	switch {
	case errors.Is(err, records.ErrDamaged):
		m.warnStaged(err)
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("cannot read the staged record: %w", err)
	}
	return record, nil
}

// bootID returns the kernel's name for this boot, "" if it does not tell.
func bootID() string {
	text, err := bounded.ReadPath("/proc/sys/kernel/random/boot_id", limits.Kernel)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}
