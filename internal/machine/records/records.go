// Package records keeps the small files in which a machine remembers what is staged,
// where its deployments came from, which of them are pinned and what went wrong. The
// formats are values of package deployment; this package knows in which file each is,
// how much of it is read, and in which order a change becomes durable. A table in
// docs/internals/records.md tells which program writes and reads which record.
//
// Every record has a Load, and a Store and a Drop where a program writes and removes it.
// Load takes the physical root as an fs.FS; Store and Drop take it as a durable.FS, and
// when they have returned nil the change survives a crash:
//
//	staged, err := records.LoadStaged(root.FS())
//	switch {
//	case errors.Is(err, fs.ErrNotExist): // nothing is staged
//	case errors.Is(err, records.ErrDamaged): // the record is there, but invalid
//	}
//
// This is the same for all records: a missing one is fs.ErrNotExist, and one that is
// invalid or is about another deployment than its name says is ErrDamaged. Any other
// error says that the file could not be read, so nothing is known of it. Each error
// names the file.
package records

import (
	"errors"
	"io/fs"
	"os"
	"path"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
)

// ErrDamaged reports that a record was read but is invalid.
var ErrDamaged = errors.New("damaged record")

// A damaged is the error of a file whose content is not a record that belongs there.
type damaged struct{ *fs.PathError }

func (damaged) Is(target error) bool { return target == ErrDamaged }

// load reads the record in a file. parse returns an error if data is not one, or not
// one that belongs there.
func load[T any](root fs.FS, name string, most limits.Limit, parse func(data []byte) (T, error)) (T, error) {
	var none T
	data, err := bounded.ReadFile(root, name, most)
	if err != nil {
		return none, err
	}
	record, err := parse(data)
	if err != nil {
		return none, damaged{&fs.PathError{Op: "parse", Path: name, Err: err}}
	}
	return record, nil
}

// IfAny turns a missing record, as a Load reports it, into nil.
func IfAny[T any](record T, err error) (*T, error) {
	switch {
	case err == nil:
		return &record, nil
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	}
	return nil, err
}

// checkID returns an error unless a record is about the deployment whose file it is in.
func checkID(got, want deployment.ID) error {
	if got != want {
		return errors.New("it is about deployment " + got.Short())
	}
	return nil
}

// storeInRun writes a record below /run. A reboot empties that: only other readers must not
// see half of it.
func storeInRun(running durable.FS, name string, data []byte) error {
	if err := durable.MkdirAll(durable.Unsynced(running), path.Dir(name), 0o755); err != nil {
		return err
	}
	return durable.WriteFile(running, name, data)
}

// dropInRun removes a record below /run, if there is one.
func dropInRun(running *os.Root, name string) error {
	if err := running.Remove(name); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
