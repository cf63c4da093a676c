package update

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/etc/carry"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/mountplan"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
	"github.com/sysupdate-image/sysupdate-image/internal/machine"
)

// A reset gives a machine a fresh state: the /etc of its images and an empty /var. The state
// before it is kept beside it, and the two change places at once: that is the commit point, and
// also how a rollback returns. A record in the one that counts tells which it is.

// ResetOptions say what of the state stays in the fresh one.
type ResetOptions struct {
	Name     string   // of the deployment to boot next; "" for the current one
	KeepEtc  []string // patterns of files in /etc; see carry.Keep
	RootKeys []byte   // the SSH keys that let root log in; nil for none
}

// A ResetPlan says what Reset would do.
type ResetPlan struct {
	ID    deployment.ID `json:"deployment"`
	Title string        `json:"title"`
	Keep  []string      `json:"keepEtc,omitempty"`
	Keys  bool          `json:"rootKeys,omitempty"`
	Kept  string        `json:"kept"` // where the state before it stays

	state   machine.State
	options ResetOptions
	keep    carry.Keep
}

// Why there is no reset.
var (
	ErrResetWaits  = errors.New("the state before the last reset is still kept")
	ErrStagedReset = errors.New("cannot reset: an update is staged")
	ErrOwnVar      = errors.New("cannot reset: /var is a file system of its own, whose content would stay")
	ErrNoReset     = errors.New("there is no reset to confirm")
	ErrNothingHere = errors.New("cannot reset: there is no deployment")
)

// PlanReset plans a reset. It changes nothing.
func (m *Machine) PlanReset(ctx context.Context, o ResetOptions) (ResetPlan, error) {
	p := ResetPlan{options: o, Keys: o.RootKeys != nil, Kept: path.Join(m.Root.Name(), deployment.OtherState)}
	if m.Booted != "" {
		p.Kept = path.Join(deployment.SysrootDir, deployment.OtherState)
	}
	var err error
	if p.state, err = m.readState(); err != nil {
		return p, err
	}
	if p.ID = p.state.Current(); o.Name != "" {
		p.ID, err = p.state.Find(o.Name)
	}
	if err == nil && p.ID == "" {
		err = ErrNothingHere
	}
	if err == nil {
		err = m.checkReset(p)
	}
	if err != nil {
		return p, err
	}
	for _, f := range p.state.Files {
		if f.Target.ID == p.ID {
			p.Title = f.Entry.Title
			break
		}
	}
	p.keep, err = m.keepOf(ctx, o.KeepEtc)
	p.Keep = p.keep
	return p, err
}

// checkReset says why there can be no reset now.
func (m *Machine) checkReset(p ResetPlan) error {
	reset, err := machine.ResetOf(m.Root.FS())
	switch {
	case err != nil:
		return err
	case reset.Reset != machine.NoReset:
		return ErrResetWaits
	case p.state.Staged != nil:
		return ErrStagedReset
	case p.state.Broken[p.ID]:
		return fmt.Errorf("cannot reset: %w", &deployment.DamagedImageError{ID: p.ID})
	}
	if p.options.Name != "" {
		if _, err := rollbackTo(p.state, string(p.ID)); err != nil {
			return err
		}
	}
	return m.checkVar()
}

// checkVar refuses a reset if /var is on a file system that only the administrator knows of.
func (m *Machine) checkVar() error {
	v, err := m.varPartition()
	if err != nil {
		return err
	}
	on := path.Join(deployment.SysrootDir, deployment.VarParent) // where the partition is mounted
	if v == nil {
		on = deployment.SysrootDir
		dir, err := m.Root.Open(deployment.SharedVar)
		if err == nil {
			stat, err := sys.Statx(dir, "")
			if err = errors.Join(err, dir.Close()); err != nil || stat.MountRoot {
				return errors.Join(err, ErrOwnVar)
			}
		}
	}
	// What prepare-root mounts there has the device that the shared /var is on, or is an overlay.
	if at, ok := mountplan.At(m.Mounts, "/var"); ok && at.Type != "overlay" {
		if shared, _ := mountplan.At(m.Mounts, on); at.Device != shared.Device {
			return ErrOwnVar
		}
	}
	return nil
}

// keepOf refuses patterns that select nothing in the current /etc.
func (m *Machine) keepOf(ctx context.Context, patterns []string) (carry.Keep, error) {
	if len(patterns) == 0 {
		return nil, nil
	}
	other, end, err := m.currentEtc(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	return carry.CheckKeep(other.FS(), patterns)
}

// currentEtc returns the /etc as it is now. The caller calls end.
func (m *Machine) currentEtc(ctx context.Context) (carry.Other, func() error, error) {
	side, err := m.etcSide()
	if err != nil {
		return carry.Other{}, nil, err
	}
	return m.carrier("").Now(ctx, side)
}

// Reset carries out a plan. Its commit point is one exchange; before that, and after a crash,
// everything is as it was.
func (m *Machine) Reset(ctx context.Context, p ResetPlan, r Reporter) error {
	r.Step("Making a fresh state for " + p.Title)
	if err := durable.RemoveAll(m.Changes, deployment.OtherDir); err != nil { // of a reset that was cut off
		return err
	}
	if err := m.makeFresh(ctx, p); err != nil {
		return fmt.Errorf("cannot make a fresh state: %w", err)
	}
	if err := durable.Syncfs(m.Changes); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	m.clearDiversions()
	if err := durable.Exchange(m.Changes, deployment.StateRoot, deployment.OtherState); err != nil {
		return fmt.Errorf("cannot reset: %w", err)
	}
	m.rememberReset(deployment.EventReset, p.ID)
	if p.options.Name == "" {
		return nil
	}
	if _, err := m.Rollback(ctx, string(p.ID)); err != nil {
		return fmt.Errorf("the fresh state counts from the next reboot on, but for another deployment: %w", err)
	}
	return nil
}

// makeFresh makes a complete state where none counts. The record comes last.
func (m *Machine) makeFresh(ctx context.Context, p ResetPlan) error {
	if err := durable.MkdirAll(m.Changes, deployment.OtherDir, 0o700); err != nil {
		return err
	}
	fresh, end, err := m.at(deployment.OtherDir)
	if err != nil {
		return err
	}
	defer end()
	endVar, err := m.freshVar(fresh)
	if err != nil {
		return err
	}
	if err := errors.Join(m.freshDeployments(ctx, fresh, p), endVar()); err != nil {
		return err
	}
	if err := m.copyRecords(durable.Unsynced(durable.OS(m.Root)), deployment.StateDir, path.Join(deployment.OtherDir, deployment.StateDir)); err != nil {
		return err
	}
	now := time.Now().UTC().Format(time.RFC3339)
	record := machine.ResetRecord{Reset: machine.ResetFresh, Since: now, Boot: m.inBoot()}
	return durable.WriteFile(fresh.Changes, deployment.ResetRecord, record.Bytes())
}

func (m *Machine) freshDeployments(ctx context.Context, fresh *Machine, p ResetPlan) error {
	for _, id := range p.state.Dirs {
		if p.state.Broken[id] {
			continue
		}
		if err := m.freshDeployment(ctx, fresh, id, p); err != nil {
			return fmt.Errorf("deployment %s: %w", id.Short(), err)
		}
	}
	return nil
}

// inBoot returns the boot that the machine is in, "" if it is not running.
func (m *Machine) inBoot() string {
	if m.Booted == "" {
		return ""
	}
	return bootID()
}

// at returns the machine with another physical root, a directory of its own one.
func (m *Machine) at(dir string) (*Machine, func() error, error) {
	root, err := m.Root.OpenRoot(dir)
	if err != nil {
		return nil, nil, err
	}
	system := *m.System
	system.Root, system.Sysroot, system.Changes, system.Booted = root, root.FS(), durable.Unsynced(durable.OS(root)), ""
	return &Machine{System: &system, warn: m.warn}, root.Close, nil
}

// freshDeployment makes the state of a deployment as it is before its first boot, with what is
// kept if it is that of the plan.
func (m *Machine) freshDeployment(ctx context.Context, fresh *Machine, id deployment.ID, p ResetPlan) error {
	mode, err := carry.OnDisk(m.Root, id)
	if err != nil {
		return err
	}
	s, err := m.systemOf(ctx, id)
	if err != nil {
		return err
	}
	origin, err := m.readOrigin(id)
	if err != nil {
		return err
	}
	if err := fresh.writeState(ctx, candidate{System: s, id: id, origin: origin}); err != nil {
		return err
	}
	if err := m.copyRecord(fresh.Changes, id.AttemptsFile()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return m.freshEtc(ctx, fresh, s, carry.Side{ID: id, Etc: mode}, p)
}
