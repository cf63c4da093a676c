package update

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/etc/carry"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/image/system"
)

// An EtcConflictsError reports that an image was not deployed because of conflicts
// in /etc.
type EtcConflictsError struct{ Conflicts []deployment.EtcConflict }

// Error lists the conflicts, one per line.
func (e *EtcConflictsError) Error() string {
	var b strings.Builder
	b.WriteString("nothing staged: local changes in /etc conflict with the new image")
	for _, c := range e.Conflicts {
		fmt.Fprintf(&b, "\n  %s", c)
	}
	return b.String()
}

// checkEtc returns the conflicts in /etc that the policy is to decide when the
// candidate is booted. Under the policy Fail they are an error.
func (m *Machine) checkEtc(ctx context.Context, c candidate, policy deployment.ConflictPolicy) ([]deployment.EtcConflict, error) {
	if c.id == m.Booted {
		return nil, nil
	}
	conflicts, err := m.etcConflicts(ctx, c.System)
	if err != nil {
		return nil, fmt.Errorf("cannot check for conflicts in /etc: %w", err)
	}
	if len(conflicts) > 0 && policy != deployment.ConflictsKeep && policy != deployment.ConflictsNew {
		return nil, &EtcConflictsError{conflicts}
	}
	for i := range conflicts {
		conflicts[i].Wins = policy
	}
	return conflicts, nil
}

// etcConflicts returns the conflicts between local changes to /etc and a system
// whose tree is in the form in which it boots.
func (m *Machine) etcConflicts(ctx context.Context, s *system.System) ([]deployment.EtcConflict, error) {
	report, err := m.etcPreview(ctx, s)
	return report.Conflicts, err
}

// etcPreview returns what would become of local changes to /etc.
func (m *Machine) etcPreview(ctx context.Context, s *system.System) (report deployment.EtcReport, err error) {
	from, err := m.etcSide()
	if err != nil || from.ID == "" || !deployment.EtcMode(s.Mounts.Etc).Persistent() {
		return report, err // there is nothing to carry over, or it would not be seen
	}
	return m.carrier("").Preview(ctx, from, s.Tree.Entry("etc"))
}

// setEtcPolicy notes a policy, if it is not "", for the deployment that is
// staged, if one is.
func (m *Machine) setEtcPolicy(policy deployment.ConflictPolicy) error {
	record, err := m.staged()
	if err != nil || record == nil || policy == "" || record.EtcConflicts == policy {
		return err
	}
	record.EtcConflicts = policy
	return m.writeRecord(*record)
}

// etcSide returns the deployment whose /etc a new one takes over, the zero Side
// if there is none.
func (m *Machine) etcSide() (carry.Side, error) {
	id, err := m.current()
	if err != nil || id == "" {
		return carry.Side{Etc: deployment.EtcNone}, err
	}
	if id == m.Booted {
		return carry.Side{ID: id, Etc: m.etc}, nil
	}
	etc, err := carry.OnDisk(m.Root, id)
	if err != nil {
		err = fmt.Errorf("cannot determine the mode of /etc of deployment %s: %w", id.Short(), err)
	}
	return carry.Side{ID: id, Etc: etc}, err
}

func (m *Machine) carrier(policy deployment.ConflictPolicy) carry.Carrier {
	return carry.Carrier{Sysroot: m.Root, Booted: m.Booted, OpenObject: m.Repository.OpenObject, Policy: policy, Warn: func(text string) { m.warn(errors.New(text)) }}
}

// carryEtc gives a deployment the local changes to /etc of the one before it.
func (m *Machine) carryEtc(ctx context.Context, c candidate) error {
	from, err := m.etcSide()
	if err != nil {
		return err
	}
	report, err := m.carrier(c.policy).Carry(ctx, from, carry.Side{ID: c.id, Etc: deployment.EtcMode(c.Mounts.Etc)})
	for _, conflict := range report.Conflicts {
		m.warn(errors.New(conflict.String()))
	}
	return err
}

// addEtc adds files to the local changes of a deployment that does not run.
func (m *Machine) addEtc(ctx context.Context, to carry.Side, files []carry.File) error {
	if len(files) == 0 {
		return nil
	}
	if err := m.carrier("").Seed(ctx, to, files); err != nil {
		return fmt.Errorf("cannot add files to /etc: %w", err)
	}
	return nil
}
