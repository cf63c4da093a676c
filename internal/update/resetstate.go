package update

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"path"

	"github.com/sysupdate-image/sysupdate-image/internal/etc/carry"
	"github.com/sysupdate-image/sysupdate-image/internal/etc/merge"
	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/image/system"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
)

// systemOf returns the system of a deployment as it boots.
func (m *Machine) systemOf(ctx context.Context, id deployment.ID) (*system.System, error) {
	tree, err := m.readImage(id)
	if err != nil {
		return nil, err
	}
	s, err := system.Deployed(ctx, tree, m.Repository)
	if errors.Is(err, system.ErrSealedDeployment) {
		return system.Of(tree, m.Repository), nil
	}
	return s, err
}

// SystemOf returns the system of a deployment, without what only its boot needs.
func (m *Machine) SystemOf(id deployment.ID) (*system.System, error) {
	tree, err := m.readImage(id)
	if err != nil {
		return nil, err
	}
	return system.Of(tree, m.Repository), nil
}

// freshEtc makes the /etc of a deployment as its image has it, with what is kept.
func (m *Machine) freshEtc(ctx context.Context, fresh *Machine, s *system.System, to carry.Side, p ResetPlan) error {
	keeps := to.ID == p.ID && (len(p.keep) > 0 || p.options.RootKeys != nil)
	t := carry.TakeOver{Fresh: true, Files: noFiles}
	if keeps {
		var end func() error
		var err error
		if t.From, end, err = m.currentEtc(ctx); err != nil {
			return err
		}
		defer end()
		keys, err := keysFor(s, p.options.RootKeys)
		if err != nil {
			return err
		}
		t.Keep = p.keep
		t.Files = func(people []merge.Person) []carry.File { return append(m.homes(s.Tree, people, nil), keys...) }
	}
	err := fresh.carrier("").TakeOver(ctx, to, t)
	if !keeps && to.Etc == deployment.EtcOverlay && errors.Is(err, fs.ErrPermission) {
		// Only root may write what an overlay notes, and only prepare-root needs it.
		return durable.MkdirAll(fresh.Changes, to.ID.EtcUpper(), 0o755)
	}
	return err
}

// copyRecords copies the files below a directory of the physical root to another one, except for
// the record of a reset. Files that are locked are the same in both, so that a lock counts for
// either state.
func (m *Machine) copyRecords(to durable.FS, dir, as string) error {
	if err := durable.MkdirAll(to, as, 0o755); err != nil {
		return err
	}
	list, err := fs.ReadDir(m.Root.FS(), dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, d := range list {
		name, target := path.Join(dir, d.Name()), path.Join(as, d.Name())
		switch {
		case name == deployment.ResetRecord:
		case name == deployment.LockFile, name == deployment.HistoryLockFile:
			err = m.Root.Link(name, target)
		case d.IsDir():
			err = m.copyRecords(to, name, target)
		case d.Type().IsRegular():
			err = m.copyRecordAs(to, name, target)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// copyRecord copies a file with its mode to the same place in another directory.
func (m *Machine) copyRecord(to durable.FS, name string) error { return m.copyRecordAs(to, name, name) }

func (m *Machine) copyRecordAs(to durable.FS, name, as string) error {
	info, err := m.Root.Lstat(name)
	if err != nil {
		return err
	}
	data, err := bounded.ReadRoot(m.Root, name, limits.Report)
	if err != nil {
		return err
	}
	return durable.Write(to, as, info.Mode().Perm(), func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// noFiles is for a carry.TakeOver that adds none.
func noFiles([]merge.Person) []carry.File { return nil }
