package records

import (
	"errors"
	"io/fs"
	"os"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
)

// LoadStaged returns the record of the staged deployment.
func LoadStaged(root fs.FS) (deployment.Staged, error) {
	return load(root, deployment.StagedRecord, limits.Record, deployment.ParseStaged)
}

// StoreStaged makes s the record of the staged deployment.
func StoreStaged(changes durable.FS, s deployment.Staged) error {
	if err := durable.MkdirAll(changes, deployment.StateDir, 0o755); err != nil {
		return err
	}
	return durable.WriteFile(changes, deployment.StagedRecord, s.Encode())
}

// MarkPublished notes in the record of the staged deployment that its boot entry is
// published. It is not an error if nothing is staged.
func MarkPublished(root fs.FS, changes durable.FS) error {
	s, err := IfAny(LoadStaged(root))
	if err != nil || s == nil {
		return err
	}
	s.Published = true
	// The directory is there, and at shutdown each sync takes time.
	return durable.WriteFile(changes, deployment.StagedRecord, s.Encode())
}

// DropStaged removes the record of the staged deployment, and before it the one that
// says why it is overdue. If that one cannot be removed, the other still is.
func DropStaged(changes durable.FS) error {
	return errors.Join(durable.Remove(changes, deployment.OverdueRecord), durable.Remove(changes, deployment.StagedRecord))
}

// LoadRunStaged returns the copy of the staged record that bootc reads, below the root of
// the running system.
func LoadRunStaged(running fs.FS) (deployment.Staged, error) {
	return load(running, deployment.RunStaged, limits.Record, deployment.ParseStaged)
}

// StoreRunStaged makes s the copy of the staged record, below the root of the running
// system.
func StoreRunStaged(running durable.FS, s deployment.Staged) error {
	return storeInRun(running, deployment.RunStaged, s.Encode())
}

// DropRunStaged removes the copy of the staged record, if there is one. It does not
// have to survive a crash, which removes the copy too.
func DropRunStaged(running *os.Root) error { return dropInRun(running, deployment.RunStaged) }

// LoadOverdue returns why a staged deployment is overdue. A record about one that was
// staged before counts as missing.
func LoadOverdue(root fs.FS, staged deployment.ID) (deployment.Overdue, error) {
	o, err := load(root, deployment.OverdueRecord, limits.Record, deployment.ParseOverdue)
	if err == nil && o.ID != staged {
		return deployment.Overdue{}, &fs.PathError{Op: "read", Path: deployment.OverdueRecord, Err: fs.ErrNotExist}
	}
	return o, err
}

// StoreOverdue records why the staged deployment, which has a record, is overdue.
// DropStaged removes both.
func StoreOverdue(changes durable.FS, o deployment.Overdue) error {
	return durable.WriteFile(changes, deployment.OverdueRecord, o.Encode())
}
