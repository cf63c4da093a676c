package records

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
)

// LoadAttempts returns how often a deployment is still booted before its fallback.
func LoadAttempts(root fs.FS, id deployment.ID) (deployment.Attempts, error) {
	return load(root, id.AttemptsFile(), limits.Record, func(data []byte) (deployment.Attempts, error) {
		a, err := deployment.ParseAttempts(data)
		if err == nil {
			err = checkID(a.ID, id)
		}
		return a, err
	})
}

// StoreAttempts makes a the record of the deployment that it is about, which has a state
// directory.
func StoreAttempts(changes durable.FS, a deployment.Attempts) error {
	return durable.WriteFile(changes, a.ID.AttemptsFile(), a.Encode())
}

// DropAttempts removes the record of a deployment, if it has one: it is booted until
// somebody stops that.
func DropAttempts(changes durable.FS, id deployment.ID) error {
	return durable.Remove(changes, id.AttemptsFile())
}

// OverwriteAttempts writes the first sector of a deployment's record in place, for the
// initramfs: it allocates nothing, so it also works on a full disk. When it has returned nil,
// the sector survives a crash. A crash before that leaves the old sector, the new one or,
// where a disk tears sectors, a damaged record, which counts as none.
func OverwriteAttempts(root *os.Root, id deployment.ID, count deployment.AttemptsCount) (err error) {
	name := id.AttemptsFile()
	f, err := root.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() || info.Size() != deployment.AttemptsSize {
		return errors.Join(err, fmt.Errorf("%s is not a record of %d bytes", name, deployment.AttemptsSize))
	}
	if _, err := f.WriteAt(count.EncodeSector(), 0); err != nil {
		return err
	}
	return f.Sync()
}

// LoadAllAttempts returns the records of all deployments that have one. The map has those
// that could be read even if there is an error: broken has the errors of the others.
func LoadAllAttempts(root fs.FS) (all map[deployment.ID]deployment.Attempts, broken map[deployment.ID]error, err error) {
	list, err := readDir(root, deployment.DeployDir)
	all, broken = make(map[deployment.ID]deployment.Attempts), make(map[deployment.ID]error)
	for _, d := range list {
		id, parseErr := deployment.ParseID(d.Name())
		if parseErr != nil {
			continue
		}
		if a, err := LoadAttempts(root, id); err == nil {
			all[id] = a
		} else if !errors.Is(err, fs.ErrNotExist) {
			broken[id] = err
		}
	}
	return all, broken, err
}
